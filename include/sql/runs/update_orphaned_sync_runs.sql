-- Closes rows that a crash left open: they hold no lease and were not updated for long. Rows locked
-- by another session are skipped, because sessions that lock several rows crosswise would deadlock.
-- Parameters: conn_id, sync_id (the one that stays), idle_seconds.
-- Returns: nothing; the row count is that of the rows closed.
with orphan as (
    select silent.sync_id
    from economic.sync_run as silent
    where
        silent.conn_id = %(conn_id)s
        and silent.status = 'running'
        and silent.sync_id <> %(sync_id)s
        and silent.updated_at < clock_timestamp() - make_interval(secs => %(idle_seconds)s)
        and not exists (
            select 1
            from economic.sync_lease as lease
            where lease.holder = silent.sync_id
        )
    for update skip locked
)

update economic.sync_run
set
    status = 'abandoned',
    phase = 'ended',
    message = 'Abandoned: its process ended without a word.',
    updated_at = clock_timestamp(),
    finished_at = clock_timestamp()
from orphan
where sync_run.sync_id = orphan.sync_id;
