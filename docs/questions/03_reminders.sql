-- Whom should we remind: what is overdue by two weeks to three months?
select customer_name, invoice_number, due_date, days_overdue, remainder, currency
from economic.receivables
where days_overdue between 14 and 90
order by days_overdue desc, invoice_number
limit 5;
