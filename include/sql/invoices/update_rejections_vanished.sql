-- Resolves the rejections of items that a complete scan no longer shows.
-- Parameters: agreement_number, sync_id.
update economic.rejected_invoice
set resolved_at = now()
where
    agreement_number = %(agreement_number)s
    and resolved_at is null
    and last_sync_id <> %(sync_id)s;
