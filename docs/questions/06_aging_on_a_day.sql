-- Who owed most at the end of October, and how late were they then?
select customer_name, currency, remainder, not_due, overdue_1_to_30, overdue_31_to_60, overdue_61_to_90, overdue_over_90
from economic.receivables_aging_as_of('2026-10-31')
order by remainder_base desc
limit 5;
