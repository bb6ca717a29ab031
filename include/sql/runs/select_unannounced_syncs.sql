-- Syncs of an agreement that changed invoices, and whose changes no recorded event has announced.
-- Parameters: agreement_number.
-- Returns: rows: sync_id, the oldest first.
select sync_id
from economic.sync_run
where
    agreement_number = %(agreement_number)s
    and not quiet
    and announced_at is null
    and (
        coalesce((statistics ->> 'created')::bigint, 0) > 0
        or coalesce((statistics ->> 'updated')::bigint, 0) > 0
        or coalesce((statistics ->> 'missing')::bigint, 0) > 0
        or coalesce((statistics ->> 'returned')::bigint, 0) > 0
    )
order by sync_id;
