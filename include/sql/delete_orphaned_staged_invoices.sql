-- Empties the staging of syncs that are over.
delete from economic.staged_invoice
using economic.sync_run as run
where
    staged_invoice.sync_id = run.sync_id
    and run.status <> 'running';
