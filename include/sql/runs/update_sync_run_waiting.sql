-- Records that a sync waits for another one to end.
-- Parameters: sync_id, message.
update economic.sync_run
set phase = 'waiting', message = %(message)s, updated_at = clock_timestamp()
where sync_id = %(sync_id)s and status = 'running';
