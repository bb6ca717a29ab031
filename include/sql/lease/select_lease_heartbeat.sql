-- When the last committed transaction renewed an agreement's lease, and whether this attempt still
-- holds it. Waits for a transaction that has the row locked: PostgreSQL may not have noticed yet
-- that its client is gone.
-- Parameters: agreement_number, token.
-- Returns: one row: heartbeat_at, held.
select
    heartbeat_at,
    coalesce(token = %(token)s and holder is not null, false) as held
from economic.sync_lease
where agreement_number = %(agreement_number)s
for update;
