-- Deletes a sync's staged rows.
-- Parameters: sync_id.
delete from economic.staged_invoice
where sync_id = %(sync_id)s;
