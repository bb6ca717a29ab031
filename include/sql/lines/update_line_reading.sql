-- Proves as the first statement of a writing transaction that this run still has its place, renews
-- it, and notes the progress.
-- Parameters: agreement_number, token, ttl_seconds, current, total, message.
-- Returns: affects no row when another run has taken the place.
update economic.line_reading
set
    expires_at = clock_timestamp() + make_interval(secs => %(ttl_seconds)s),
    updated_at = clock_timestamp(),
    current = %(current)s,
    total = %(total)s,
    message = %(message)s
where agreement_number = %(agreement_number)s and token = %(token)s and attempt is not null;
