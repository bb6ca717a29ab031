-- Which run the sync that holds a lease is of.
-- Parameters: sync_id.
-- Returns: one row.
select
    scope,
    run_id,
    dag_id
from economic.sync_run
where sync_id = %(sync_id)s;
