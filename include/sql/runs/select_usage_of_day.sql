-- What the syncs of an agreement used of e-conomic that began within the last 24 hours.
-- Parameters: agreement_number.
-- Returns: one row: requests; the most that was used of e-conomic's window of calls, by everybody
-- with these tokens, and its limit (0: it did not tell).
select
    coalesce(sum((lately.statistics ->> 'requests')::bigint), 0)::bigint as requests,
    coalesce(max((lately.statistics ->> 'rate_limit_used')::bigint), 0) as window_used,
    coalesce(max((lately.statistics ->> 'rate_limit')::bigint), 0) as window_limit
from economic.sync_run as lately
where
    lately.agreement_number = %(agreement_number)s
    and lately.sync_id > coalesce((
        select earlier.sync_id
        from economic.sync_run as earlier
        where
            earlier.agreement_number = %(agreement_number)s
            and earlier.started_at < clock_timestamp() - interval '24 hours'
        order by earlier.sync_id desc
        limit 1
    ), 0);
