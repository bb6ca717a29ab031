-- Records that a sync has reached the employees' names.
-- Parameters: sync_id, message, statistics.
update economic.sync_run
set
    phase = 'names',
    message = %(message)s,
    statistics = %(statistics)s,
    updated_at = clock_timestamp()
where sync_id = %(sync_id)s;
