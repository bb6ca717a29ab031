-- Ends the session whose open transaction locks the lease's row that a waiting session needs.
-- Sessions that only wait for the same row stay. Ends only sessions of roles that this role may act
-- for.
-- Parameters: pid, began (of the waiting transaction).
-- Returns: a row for each that was ended: pid, application_name, state, seconds (how long its
-- transaction lasts).
with recursive waiting as (
    select activity.pid
    from pg_stat_activity as activity
    where activity.pid = %(pid)s and activity.xact_start = %(began)s
    union
    select unnest(pg_blocking_pids(waiting.pid)) as pid
    from waiting
    where exists (
        select 1
        from pg_locks as lock
        where
            lock.pid = waiting.pid
            and lock.locktype = 'tuple'
            and lock.relation = 'economic.sync_lease'::regclass
            and not lock.granted
    )
),

in_the_way as (
    select unnest(pg_blocking_pids(waiting.pid)) as pid
    from waiting
    inner join pg_locks as own
        on
            waiting.pid = own.pid
            and own.locktype = 'tuple'
            and own.relation = 'economic.sync_lease'::regclass
            and own.granted
    inner join pg_locks as awaited
        on
            waiting.pid = awaited.pid
            and awaited.locktype = 'transactionid'
            and not awaited.granted
)

select
    activity.pid,
    activity.application_name,
    activity.state,
    extract(epoch from clock_timestamp() - activity.xact_start)::integer as seconds,
    pg_terminate_backend(activity.pid) as ended
from pg_stat_activity as activity
where
    activity.pid in (select in_the_way.pid from in_the_way)
    and pg_has_role(activity.usesysid, 'USAGE');
