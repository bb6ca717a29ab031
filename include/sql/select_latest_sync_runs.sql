-- The latest syncs, newest first.
-- Parameters: agreement_number, most.
-- Returns: rows: a sync's order, progress, result and statistics, and how long it took or has been running.
select
    sync_id,
    dag_id,
    run_id,
    run_type,
    force,
    scope,
    date_from,
    date_to,
    status,
    phase,
    percentage,
    message,
    warning,
    verdict,
    complete,
    reconciled,
    started_at,
    finished_at,
    statistics,
    extract(epoch from coalesce(finished_at, clock_timestamp()) - started_at)::float8 as seconds
from economic.sync_run
where agreement_number = %(agreement_number)s
order by sync_id desc
limit %(most)s;
