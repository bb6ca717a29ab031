-- How long did the invoices take that were settled in the last week of November?
select invoice_number, customer_name, invoice_date, due_date, settled_at::date as settled, days_to_pay, days_late
from economic.days_to_pay
where settled_at >= '2026-11-23'
order by invoice_number desc
limit 5;
