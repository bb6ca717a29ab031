-- Restarts a sync's scan at the first page; a quick sync becomes a full one so.
-- Parameters: sync_id, scope, scan_number, statistics, message.
update economic.sync_run
set
    scope = %(scope)s,
    scan_number = %(scan_number)s,
    scan_started_at = clock_timestamp(),
    scan_advanced_at = clock_timestamp(),
    scan_cursor = null,
    scan_seen = 0,
    scan_drifted = false,
    staged_rows = '{}',
    stored_pages = 0,
    statistics = %(statistics)s,
    current = 0,
    percentage = 0,
    message = %(message)s,
    updated_at = clock_timestamp()
where sync_id = %(sync_id)s;
