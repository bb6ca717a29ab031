-- Records the end of a scan: whether it is proven complete, and e-conomic's own counts.
-- Parameters: sync_id, booked_count, totals, complete, statistics, message.
update economic.sync_run
set
    booked_count = %(booked_count)s,
    totals = %(totals)s,
    complete = %(complete)s,
    statistics = %(statistics)s,
    message = %(message)s,
    scan_advanced_at = clock_timestamp(),
    updated_at = clock_timestamp()
where sync_id = %(sync_id)s;
