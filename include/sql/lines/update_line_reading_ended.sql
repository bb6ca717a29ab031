-- Ends a run that reads lines.
-- Parameters: agreement_number, token, status, message, statistics.
-- Returns: affects no row when another run has taken the place.
update economic.line_reading
set
    attempt = null,
    expires_at = null,
    updated_at = clock_timestamp(),
    finished_at = clock_timestamp(),
    completed_at
    = case when %(status)s in ('completed', 'completed_with_errors') then started_at else completed_at end,
    status = %(status)s,
    message = %(message)s,
    statistics = %(statistics)s
where agreement_number = %(agreement_number)s and token = %(token)s and attempt is not null;
