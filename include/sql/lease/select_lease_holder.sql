-- The DAG run of the sync that holds a lease.
-- Parameters: sync_id.
-- Returns: one row.
select
    scope,
    run_id,
    dag_id
from economic.sync_run
where sync_id = %(sync_id)s;
