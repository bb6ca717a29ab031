-- Sets the message of a running sync.
-- Parameters: sync_id, message.
update economic.sync_run
set message = %(message)s, updated_at = clock_timestamp()
where sync_id = %(sync_id)s and status = 'running';
