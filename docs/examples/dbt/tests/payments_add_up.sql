-- Invoices whose payments are not gross minus remainder: there are none.
select
    invoice.agreement_number,
    invoice.invoice_number
from {{ source('economic', 'invoice_overview') }} as invoice
left join {{ source('economic', 'payments') }} as payments using (agreement_number, invoice_number)
group by invoice.agreement_number, invoice.invoice_number, invoice.gross_amount, invoice.remainder
having coalesce(sum(payments.amount), 0) <> invoice.gross_amount - invoice.remainder
