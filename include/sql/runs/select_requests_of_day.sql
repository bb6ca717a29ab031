-- How many requests the syncs of an agreement made that began within the last 24 hours.
-- Parameters: agreement_number.
-- Returns: one row: requests.
select coalesce(sum((lately.statistics ->> 'requests')::bigint), 0)::bigint as requests
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
