-- A full sync of this connection that waits for its turn.
-- Parameters: conn_id, sync_id (the one that asks), idle_seconds (how lately the waiting one must
-- have looked).
-- Returns: at most one row: its sync id and DAG run.
select
    sync_id,
    run_id
from economic.sync_run
where
    conn_id = %(conn_id)s
    and sync_id <> %(sync_id)s
    and status = 'running'
    and phase = 'waiting'
    and scope = 'full'
    and updated_at > clock_timestamp() - make_interval(secs => %(idle_seconds)s)
order by sync_id
limit 1;
