-- How each agreement stands: what people and monitoring ask.
-- Parameters: conn_id (null: all).
-- Returns: one row an agreement: the view sync_status, and the age of the last success in seconds.
select
    agreement_number,
    company_name,
    base_currency,
    conn_id,
    last_synced_at,
    success_sync_id,
    success_status,
    complete,
    reconciled,
    verdict,
    warning,
    last_sync_id,
    last_dag_id,
    last_run_id,
    last_run_type,
    last_force,
    last_scope,
    last_date_from,
    last_date_to,
    last_status,
    last_phase,
    last_percentage,
    last_current,
    last_total,
    last_message,
    last_started_at,
    last_updated_at,
    last_finished_at,
    running,
    stalled,
    held,
    invoices,
    missing,
    rejected,
    extract(epoch from clock_timestamp() - last_synced_at)::float8 as age_seconds,
    extract(epoch from clock_timestamp() - last_started_at)::float8 as running_seconds
from economic.sync_status
where %(conn_id)s::text is null or conn_id = %(conn_id)s::text
order by agreement_number;
