-- Customers whose columns of the ageing are not their remainder: there are none.
select
    agreement_number,
    customer_number,
    currency
from {{ source('economic', 'receivables_aging') }}
where
    remainder
    <> not_due + overdue_1_to_30 + overdue_31_to_60 + overdue_61_to_90 + overdue_over_90 + credit
