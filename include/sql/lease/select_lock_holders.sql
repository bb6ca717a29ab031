-- Other sessions that hold locks on our tables: one that locked rows holds a lock on their table
-- too.
-- Returns: up to five rows, the oldest transaction first: pid, application_name, state, seconds.
select distinct
    activity.pid,
    activity.application_name,
    activity.state,
    activity.xact_start,
    extract(epoch from clock_timestamp() - activity.xact_start)::integer as seconds
from pg_locks as lock
inner join pg_class as class on lock.relation = class.oid
inner join pg_namespace as namespace on class.relnamespace = namespace.oid
inner join pg_stat_activity as activity on lock.pid = activity.pid
where
    namespace.nspname = 'economic'
    and lock.granted
    and lock.mode <> 'AccessShareLock'
    and lock.pid <> pg_backend_pid()
order by activity.xact_start
limit 5;
