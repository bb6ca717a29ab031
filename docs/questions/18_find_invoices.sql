-- Which invoices has a customer with "Tårnby" in the name, the newest first?
select invoice_number, invoice_date, customer_name, status, gross_amount, remainder, currency
from economic.invoice_overview
where customer_name ilike '%tårnby%'
order by invoice_number desc
limit 5;
