-- What did we sell in each month of this autumn?
select month, base_currency, invoices, credit_notes, invoiced_base, credited_base, revenue_base
from economic.revenue_by_month
where month >= '2026-08-01'
order by month;
