-- How much money came in each week of November?
-- In the base currency. Matches with credit notes show on both sides, so that they cancel out.
select date_trunc('week', seen_at)::date as week, sum(amount_base) as paid_base
from economic.payments
where kind <> 'already paid when first seen' and seen_at >= '2026-11-01'
group by week
order by week;
