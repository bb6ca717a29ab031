-- Locks an agreement's lease and returns its holder. The holder's own row is not read here: after a
-- wait for the lock PostgreSQL would return the row of the previous holder.
-- Parameters: agreement_number.
-- Returns: one row; `live` is whether the holder's time has not run out.
select
    holder,
    coalesce(expires_at > clock_timestamp(), false) as live,
    acquired_at
from economic.sync_lease
where agreement_number = %(agreement_number)s
for update;
