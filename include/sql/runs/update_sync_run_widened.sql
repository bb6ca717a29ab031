-- Turns a quick sync into a full one, at the begin of its scan.
-- Parameters: sync_id, message.
update economic.sync_run
set
    scope = 'full',
    scan_started_at = clock_timestamp(),
    scan_advanced_at = clock_timestamp(),
    scan_cursor = null,
    scan_seen = 0,
    scan_drifted = false,
    staged_rows = '{}',
    stored_pages = 0,
    current = 0,
    percentage = 0,
    message = %(message)s,
    updated_at = clock_timestamp()
where sync_id = %(sync_id)s;
