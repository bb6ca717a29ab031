-- The latest syncs of an agreement, newest first, with those of its connection that failed before
-- they reached one. Quick syncs that changed nothing are left out.
-- Parameters: agreement_number (null: none is known), conn_id, most.
-- Returns: rows: a sync's order, progress, result and statistics, and how long it took or has been
-- running.
with latest as (
    (
        select sync_id
        from economic.sync_run
        where agreement_number = %(agreement_number)s and not quiet
        order by sync_id desc
        limit %(most)s
    )
    union all
    (
        select sync_id
        from economic.sync_run
        where agreement_number is null and not quiet and conn_id = %(conn_id)s
        order by sync_id desc
        limit %(most)s
    )
)

select
    sync_run.sync_id,
    sync_run.conn_id,
    sync_run.dag_id,
    sync_run.run_id,
    sync_run.run_type,
    sync_run.force,
    sync_run.scope,
    sync_run.date_from,
    sync_run.date_to,
    sync_run.status,
    sync_run.phase,
    sync_run.percentage,
    sync_run.message,
    sync_run.warning,
    sync_run.complete,
    sync_run.reconciled,
    sync_run.started_at,
    sync_run.finished_at,
    sync_run.statistics,
    extract(
        epoch from coalesce(sync_run.finished_at, clock_timestamp()) - sync_run.started_at
    )::float8 as seconds
from latest
inner join economic.sync_run on latest.sync_id = sync_run.sync_id
order by sync_run.sync_id desc
limit %(most)s;
