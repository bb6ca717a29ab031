-- How the agreements behind connections stand: what people and monitoring ask. `last_` is the sync
-- at work, the one that holds the lease before those that wait; else the newest one. `outcome_` is
-- the newest that ended by itself, well or not: one that was skipped, or displaced by a forced one,
-- says nothing about the copy. A sync that failed before it knew whose accounts it reads (refused
-- tokens) counts for its connection. Syncs of another agreement never count, also where another
-- Airflow gave its connection the same id.
-- Parameters: conn_ids (null: every connection that is bound to an agreement, or has failed to
-- reach one in the last 7 days).
-- Returns: a row a connection: the view sync_status, e-conomic's own count at the last success, how
-- many seconds ago that, the last full scan and the outcome were, how long the last sync has been
-- running, and how many syncs wait for one another; without an agreement when the connection has
-- reached none.
with wanted as (
    select conn_id
    from economic.agreement
    where %(conn_ids)s::text[] is null
    union
    select conn_id
    from economic.sync_run
    where
        agreement_number is null
        and started_at > clock_timestamp() - interval '7 days'
        and %(conn_ids)s::text[] is null
    union
    select unnest(%(conn_ids)s::text[]) as conn_id
)

select
    wanted.conn_id,
    standing.agreement_number,
    standing.company_name,
    standing.base_currency,
    standing.last_synced_at,
    standing.last_full_scan_at,
    standing.complete,
    standing.reconciled,
    standing.verdict,
    standing.warning,
    standing.booked,
    standing.booked_net,
    last_sync.sync_id as last_sync_id,
    last_sync.conn_id as last_conn_id,
    last_sync.dag_id as last_dag_id,
    last_sync.run_id as last_run_id,
    last_sync.run_type as last_run_type,
    last_sync.force as last_force,
    last_sync.scope as last_scope,
    last_sync.date_from as last_date_from,
    last_sync.date_to as last_date_to,
    last_sync.status as last_status,
    last_sync.phase as last_phase,
    last_sync.percentage as last_percentage,
    last_sync.current as last_current,
    last_sync.total as last_total,
    last_sync.message as last_message,
    last_sync.started_at as last_started_at,
    coalesce(last_sync.status = 'running', false) as running,
    coalesce(choice.stalled, false) as stalled,
    (
        select count(*)
        from economic.sync_run as waiting
        where
            waiting.conn_id = wanted.conn_id
            and waiting.status = 'running'
            and waiting.phase = 'waiting'
            and (waiting.agreement_number is null or waiting.agreement_number = standing.agreement_number)
    ) as waiting,
    outcome.sync_id as outcome_sync_id,
    outcome.conn_id as outcome_conn_id,
    outcome.dag_id as outcome_dag_id,
    outcome.status as outcome_status,
    outcome.message as outcome_message,
    outcome.warning as outcome_warning,
    outcome.scope as outcome_scope,
    outcome.complete as outcome_complete,
    outcome.quiet as outcome_quiet,
    (outcome.statistics ->> 'fetched')::bigint as outcome_fetched,
    (outcome.statistics ->> 'failed')::bigint as outcome_rejected,
    standing.held,
    standing.invoices,
    coalesce(standing.rejected, 0) as rejected,
    coalesce(standing.degraded, 0) as degraded,
    extract(epoch from clock_timestamp() - standing.last_synced_at)::float8 as age_seconds,
    extract(epoch from clock_timestamp() - standing.last_full_scan_at)::float8 as full_age_seconds,
    extract(epoch from clock_timestamp() - outcome.finished_at)::float8 as outcome_age_seconds,
    extract(epoch from clock_timestamp() - last_sync.started_at)::float8 as running_seconds
from wanted
left join economic.sync_status as standing on wanted.conn_id = standing.conn_id
left join lateral (
    select early.sync_id
    from economic.sync_run as early
    where early.agreement_number is null and not early.quiet and early.conn_id = wanted.conn_id
    order by early.sync_id desc
    limit 1
) as nameless on true
left join economic.sync_lease as held_by on standing.agreement_number = held_by.agreement_number
left join lateral (
    select
        candidate.sync_id,
        judged.stalled
    from
        unnest(
            array(
                select working.sync_id
                from economic.sync_run as working
                where
                    working.conn_id = wanted.conn_id
                    and working.status = 'running'
                    and (
                        working.agreement_number is null
                        or working.agreement_number = standing.agreement_number
                    )
            ) || held_by.holder || standing.last_sync_id || nameless.sync_id
        ) as found (sync_id)
    inner join economic.sync_run as candidate on found.sync_id = candidate.sync_id
    left join economic.sync_lease as lease on candidate.sync_id = lease.holder
    cross join
        lateral (
            select
                candidate.status = 'running'
                and candidate.phase <> 'waiting'
                and coalesce(lease.expires_at, candidate.updated_at + interval '5 minutes')
                < clock_timestamp() as stalled
        ) as judged
    order by
        (candidate.status = 'running' and not judged.stalled) desc,
        (candidate.status = 'running' and not judged.stalled and lease.holder is not null) desc,
        (candidate.status = 'running' and not judged.stalled and candidate.phase <> 'waiting') desc,
        candidate.sync_id desc
    limit 1
) as choice on true
left join economic.sync_run as last_sync on choice.sync_id = last_sync.sync_id
left join lateral (
    (
        select ended.sync_id
        from economic.sync_run as ended
        where
            ended.agreement_number = standing.agreement_number
            and ended.status in ('completed', 'completed_with_errors', 'failed', 'abandoned')
        order by ended.sync_id desc
        limit 1
    )
    union all
    (
        select ended.sync_id
        from economic.sync_run as ended
        where
            ended.agreement_number is null
            and not ended.quiet
            and ended.conn_id = wanted.conn_id
            and ended.status in ('completed', 'completed_with_errors', 'failed', 'abandoned')
        order by ended.sync_id desc
        limit 1
    )
    order by sync_id desc
    limit 1
) as newest on true
left join economic.sync_run as outcome on newest.sync_id = outcome.sync_id
order by standing.agreement_number, wanted.conn_id;
