-- Notes what a running sync does or why it waits.
-- Parameters: sync_id, message.
update economic.sync_run
set message = %(message)s, updated_at = clock_timestamp()
where sync_id = %(sync_id)s and status = 'running';
