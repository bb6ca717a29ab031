-- Which orders or projects of our customers (other reference) hold up the most money?
select external_reference, invoices, most_days_overdue, remainder_base, overdue_base
from economic.receivables_by_reference
where external_reference is not null
order by overdue_base desc
limit 5;
