-- The age of a sync's scan.
-- Parameters: sync_id.
-- Returns: one row: when the scan began, and how long ago.
select
    scan_started_at,
    clock_timestamp() - scan_started_at as age
from economic.sync_run
where sync_id = %(sync_id)s;
