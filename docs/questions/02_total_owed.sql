-- How much is owed to us now, and how much of it is overdue?
select base_currency, sum(remainder_base) as owed, sum(remainder_base) filter (where days_overdue > 0) as overdue
from economic.receivables
group by base_currency;
