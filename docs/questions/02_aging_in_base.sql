-- Who owes us most over all currencies, and how much of it is overdue by more than 90 days?
select customer_name, remainder_base, overdue_over_90_base, base_currency
from economic.receivables_aging_base
order by remainder_base desc
limit 5;
