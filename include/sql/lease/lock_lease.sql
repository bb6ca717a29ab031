-- Locks an agreement's lease and says which sync holds it. Nothing of that sync's own row is asked
-- for here: after a wait for the lock PostgreSQL would answer with the row of the sync that held
-- the lease before.
-- Parameters: agreement_number.
-- Returns: one row; `live` is whether the holder's time has not run out.
select
    holder,
    coalesce(expires_at > clock_timestamp(), false) as live,
    acquired_at
from economic.sync_lease
where agreement_number = %(agreement_number)s
for update;
