-- The latest syncs, newest first.
-- Parameters: agreement_number (null: all), most.
-- Returns: rows of sync_run.
select
    sync_id,
    agreement_number,
    run_type,
    force,
    scope,
    status,
    phase,
    percentage,
    message,
    started_at,
    finished_at,
    statistics
from economic.sync_run
where %(agreement_number)s::bigint is null or agreement_number = %(agreement_number)s::bigint
order by sync_id desc
limit %(most)s;
