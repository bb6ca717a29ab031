-- Restarts a sync's scan at the first page.
-- Parameters: sync_id, statistics, message.
update economic.sync_run
set
    scan_number = scan_number + 1,
    scan_started_at = clock_timestamp(),
    scan_advanced_at = clock_timestamp(),
    scan_cursor = null,
    scan_seen = 0,
    scan_drifted = false,
    staged_rows = '{}',
    statistics = %(statistics)s,
    current = 0,
    percentage = 0,
    message = %(message)s,
    updated_at = clock_timestamp()
where sync_id = %(sync_id)s;
