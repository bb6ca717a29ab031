-- Which customers pay late as a rule?
select customer_name, invoices, median_days_to_pay, average_days_late, paid_late
from economic.customer_days_to_pay
where invoices >= 2
order by average_days_late desc, customer_number
limit 5;
