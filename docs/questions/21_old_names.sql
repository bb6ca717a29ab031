-- How do I ask with the old column names?
select invoice_number, invoice_date, customer_name, subject, gross_amount, remainder, currency, employee_name
from economic.invoices
order by invoice_number desc
limit 3;
