-- What a quick sync that holds the lease can build on.
-- Parameters: agreement_number, seconds.
-- Returns: one row: seen_all (a full sync has ended that saw every invoice), full_lately (within so
-- many seconds one of the last two full ones was completed, or both failed), and of the quick sync
-- that proved the copy: totals, reconciled, verdict; null when another sync has held the lease
-- since.
select
    coalesce((
        select true
        from economic.sync_run
        where
            agreement_number = %(agreement_number)s
            and scope = 'full'
            and not quiet
            and status in ('completed', 'completed_with_errors')
            and complete
        order by sync_id desc
        limit 1
    ), false) as seen_all,
    coalesce((
        select bool_or(ended.status in ('completed', 'completed_with_errors')) or count(*) = 2
        from (
            select
                status,
                finished_at
            from economic.sync_run
            where
                agreement_number = %(agreement_number)s
                and scope = 'full'
                and not quiet
                and status in ('completed', 'completed_with_errors', 'failed', 'abandoned')
            order by sync_id desc
            limit 2
        ) as ended
        where ended.finished_at > clock_timestamp() - make_interval(secs => %(seconds)s)
    ), false) as full_lately,
    proven.totals,
    proven.reconciled,
    proven.verdict
from economic.sync_lease as lease
left join economic.sync_run as proven
    on lease.proven_sync_id = proven.sync_id and lease.token = lease.proven_token + 1
where lease.agreement_number = %(agreement_number)s;
