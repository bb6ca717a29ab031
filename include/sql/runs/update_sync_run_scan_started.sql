-- Records that a sync begins its first scan.
-- Parameters: sync_id.
update economic.sync_run
set scan_started_at = clock_timestamp(), scan_advanced_at = clock_timestamp()
where sync_id = %(sync_id)s;
