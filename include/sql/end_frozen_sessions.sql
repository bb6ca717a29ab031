-- Ends the sessions that may keep the lease's row locked and whose client does not move: it is frozen, or cut off,
-- in the middle of a statement's transfer, where PostgreSQL waits for it for minutes, or for ever. Only those are
-- ended for whose role ours may act.
-- Parameters: seconds (for how long their statement, or the wait for the next one, has lasted at least).
-- Returns: a row for each: pid, application_name, seconds.
select
    activity.pid,
    activity.application_name,
    extract(epoch from clock_timestamp() - activity.state_change)::integer as seconds,
    pg_terminate_backend(activity.pid) as ended
from pg_stat_activity as activity
where
    activity.datname = current_database()
    and activity.pid <> pg_backend_pid()
    and activity.wait_event_type = 'Client'
    and activity.state_change < clock_timestamp() - make_interval(secs => %(seconds)s)
    and pg_has_role(activity.usesysid, 'USAGE')
    and exists (
        select 1
        from pg_locks as lock
        where
            lock.pid = activity.pid
            and lock.relation = 'economic.sync_lease'::regclass
            and lock.granted
            and lock.mode in ('RowShareLock', 'RowExclusiveLock')
    );
