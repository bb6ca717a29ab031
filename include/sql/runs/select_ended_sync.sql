-- The statistics of a completed sync of this DAG run, not cleared since.
-- Parameters: sync_id, dag_id, run_id, run_key, conn_id, clear_number.
-- Returns: at most one row.
select statistics
from economic.sync_run
where
    sync_id = %(sync_id)s
    and dag_id = %(dag_id)s
    and run_id = %(run_id)s
    and run_key = %(run_key)s
    and conn_id = %(conn_id)s
    and clear_number = %(clear_number)s
    and status in ('completed', 'completed_with_errors');
