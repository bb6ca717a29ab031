-- One sync's row.
-- Parameters: sync_id.
-- Returns: at most one row.
select
    sync_id,
    dag_id,
    run_id,
    run_type,
    conn_id,
    agreement_number,
    scope,
    date_from,
    date_to,
    force,
    phase,
    status,
    message,
    started_at,
    clock_timestamp() - updated_at as idle,
    scan_number,
    scan_cursor,
    scan_seen,
    scan_drifted,
    staged_rows,
    stored_pages,
    total,
    booked_count,
    totals,
    complete,
    reconciled,
    verdict,
    statistics,
    extract(epoch from clock_timestamp() - started_at)::float8 as age_seconds
from economic.sync_run
where sync_id = %(sync_id)s;
