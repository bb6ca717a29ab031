-- Closes the row of a running sync; a closed one stays as it is.
-- Parameters: sync_id, status, message, percentage, warning, statistics (each null: as it stands).
update economic.sync_run
set
    status = %(status)s,
    phase = 'ended',
    message = %(message)s,
    warning = coalesce(%(warning)s::text, warning),
    percentage = coalesce(%(percentage)s::numeric, percentage),
    statistics = coalesce(%(statistics)s::jsonb, statistics),
    updated_at = clock_timestamp(),
    finished_at = clock_timestamp()
where sync_id = %(sync_id)s and status = 'running';
