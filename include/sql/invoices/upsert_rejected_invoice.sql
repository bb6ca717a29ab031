-- Keeps a rejected item with its reason; an item that comes again is counted and reopened.
-- Parameters: agreement_number, item_key, invoice_number, field, reason, message, raw_data,
-- sync_id.
insert into economic.rejected_invoice as known (
    agreement_number, item_key, invoice_number, field, reason, message, raw_data, last_sync_id
)
values (
    %(agreement_number)s,
    %(item_key)s,
    %(invoice_number)s,
    %(field)s,
    %(reason)s,
    %(message)s,
    %(raw_data)s,
    %(sync_id)s
)
on conflict (agreement_number, item_key) do update
    set
        field = excluded.field,
        reason = excluded.reason,
        message = excluded.message,
        raw_data = excluded.raw_data,
        last_seen_at = now(),
        seen_count = known.seen_count + (known.last_sync_id <> excluded.last_sync_id)::integer,
        last_sync_id = excluded.last_sync_id,
        resolved_at = null;
