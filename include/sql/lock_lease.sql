-- Locks an agreement's lease and says who holds it.
-- Parameters: agreement_number.
-- Returns: one row; `live` is whether the holder's time has not run out.
select
    lease.holder,
    coalesce(lease.expires_at > clock_timestamp(), false) as live,
    lease.acquired_at,
    lease.expires_at,
    holder.scope as holder_scope,
    holder.run_id as holder_run_id,
    holder.dag_id as holder_dag_id
from economic.sync_lease as lease
left join economic.sync_run as holder on lease.holder = holder.sync_id
where lease.agreement_number = %(agreement_number)s
for update of lease;
