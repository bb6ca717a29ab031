-- How many days of sales are owed to us, and how many were it at the end of October?
select day, receivables_base, sales_base, days_sales_outstanding
from (values (date '2026-10-31'), (date '2026-11-30')) as asked (day)
cross join lateral economic.days_sales_outstanding(day)
order by day;
