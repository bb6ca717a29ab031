-- Records that Airflow has recorded the event that announces these syncs' changes.
-- Parameters: sync_ids.
update economic.sync_run
set announced_at = clock_timestamp()
where sync_id = any(%(sync_ids)s::bigint[]) and announced_at is null;
