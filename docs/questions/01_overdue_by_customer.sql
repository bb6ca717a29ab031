-- Which customers are late, and by how long?
-- One row for each currency of a customer: currencies are never added.
select customer_name, currency, remainder, overdue_1_to_30, overdue_31_to_60, overdue_61_to_90, overdue_over_90
from economic.receivables_aging
order by remainder_base desc
limit 5;
