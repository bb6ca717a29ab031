-- Takes an agreement's lease for a sync; every taking makes the token grow, which shuts out whoever held it.
-- Parameters: agreement_number, sync_id, attempt, ttl_seconds.
-- Returns: one row: the new token.
update economic.sync_lease
set
    token = token + 1,
    holder = %(sync_id)s,
    attempt = %(attempt)s,
    acquired_at = clock_timestamp(),
    heartbeat_at = clock_timestamp(),
    expires_at = clock_timestamp() + make_interval(secs => %(ttl_seconds)s)
where agreement_number = %(agreement_number)s
returning token;
