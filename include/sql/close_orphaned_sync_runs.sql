-- Closes rows that a crash left open: they hold no lease and nothing has been heard of them for long.
-- Parameters: conn_id, sync_id (the one that stays), idle_seconds.
-- Returns: the closed sync ids.
update economic.sync_run as orphan
set
    status = 'abandoned',
    phase = 'ended',
    message = 'Abandoned: its process ended without a word.',
    updated_at = clock_timestamp(),
    finished_at = clock_timestamp()
where
    orphan.conn_id = %(conn_id)s
    and orphan.status = 'running'
    and orphan.sync_id <> %(sync_id)s
    and orphan.updated_at < clock_timestamp() - make_interval(secs => %(idle_seconds)s)
    and not exists (
        select 1
        from economic.sync_lease as lease
        where lease.holder = orphan.sync_id
    )
returning orphan.sync_id;
