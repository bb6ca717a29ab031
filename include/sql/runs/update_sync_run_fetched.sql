-- Records a staged page: the scan's position, counts and progress, in the page's transaction.
-- Parameters: sync_id, cursor, seen, drifted, rows, statistics, current, total, percentage,
-- message.
update economic.sync_run
set
    phase = 'fetch',
    scan_cursor = %(cursor)s,
    scan_seen = %(seen)s,
    scan_drifted = scan_drifted or %(drifted)s,
    staged_rows = array_append(staged_rows, %(rows)s::integer),
    statistics = %(statistics)s,
    current = %(current)s,
    total = %(total)s,
    percentage = %(percentage)s,
    message = %(message)s,
    scan_advanced_at = clock_timestamp(),
    updated_at = clock_timestamp()
where sync_id = %(sync_id)s;
