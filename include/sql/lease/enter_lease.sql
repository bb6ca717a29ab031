-- Begins a new attempt of the sync that holds the lease: the token grows, which shuts out the
-- attempt before.
-- Parameters: agreement_number, sync_id, attempt, ttl_seconds.
-- Returns: the new token; no row when another sync holds the lease.
update economic.sync_lease
set
    token = token + 1,
    attempt = %(attempt)s,
    heartbeat_at = clock_timestamp(),
    expires_at = clock_timestamp() + make_interval(secs => %(ttl_seconds)s)
where agreement_number = %(agreement_number)s and holder = %(sync_id)s
returning token;
