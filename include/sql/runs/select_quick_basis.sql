-- What a quick sync that holds the lease can build on.
-- Parameters: agreement_number, seconds.
-- Returns: one row: proven (a full sync has ended that saw every invoice), full_lately (the last
-- full one ended within so many seconds), totals (those that the copy was proven to equal; null
-- when another sync has held the lease since).
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
    ), false) as proven,
    coalesce((
        select finished_at > clock_timestamp() - make_interval(secs => %(seconds)s)
        from economic.sync_run
        where
            agreement_number = %(agreement_number)s
            and scope = 'full'
            and not quiet
            and status in ('completed', 'completed_with_errors')
        order by sync_id desc
        limit 1
    ), false) as full_lately,
    case when token = proven_token + 1 then proven_totals end as totals
from economic.sync_lease
where agreement_number = %(agreement_number)s;
