-- One sync's row: by its number, or the newest that a DAG run began.
-- Parameters: sync_id (null: by DAG run), dag_id, run_id, run_key, conn_id.
-- Returns: at most one row.
select
    sync_id,
    dag_id,
    run_id,
    run_key,
    clear_number,
    conn_id,
    agreement_number,
    scope,
    date_from,
    date_to,
    force,
    accept_missing,
    phase,
    status,
    message,
    clock_timestamp() - scan_advanced_at as scan_idle,
    clock_timestamp() - scan_started_at as scan_age,
    scan_number,
    scan_cursor,
    scan_seen,
    scan_drifted,
    staged_rows,
    stored_pages,
    totals,
    complete,
    reconciled,
    warning,
    statistics,
    extract(epoch from clock_timestamp() - started_at)::float8 as age_seconds
from economic.sync_run
where
    sync_id = coalesce(
        %(sync_id)s::bigint,
        (
            select max(newest.sync_id)
            from economic.sync_run as newest
            where
                newest.dag_id = %(dag_id)s
                and newest.run_id = %(run_id)s
                and newest.run_key = %(run_key)s
                and newest.conn_id = %(conn_id)s
        )
    );
