-- What was paid on 20 November?
-- "Seen" is the sync that saw it: it was paid after the proven sync before.
select invoice_number, customer_name, kind, amount, currency, remainder_after, earliest_at, seen_at
from economic.payments
where seen_at >= '2026-11-20' and seen_at < '2026-11-21' and kind <> 'already paid when first seen'
order by invoice_number
limit 5;
