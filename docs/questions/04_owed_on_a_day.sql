-- How much was owed to us at the end of 13 November?
-- Exact to the hundredth, undone from the history of changes, and the same whenever it is asked.
select currency, count(*) as invoices, sum(remainder) as remainder, sum(remainder_base) as remainder_base
from economic.receivables_as_of('2026-11-13')
group by currency
order by currency;
