-- Takes an agreement's lease for a sync; the token grows, which shuts out any previous holder.
-- Parameters: agreement_number, sync_id, attempt, ttl_seconds.
-- Returns: the new token; no row when that sync's own row is closed.
update economic.sync_lease
set
    token = token + 1,
    holder = %(sync_id)s,
    attempt = %(attempt)s,
    acquired_at = clock_timestamp(),
    heartbeat_at = clock_timestamp(),
    expires_at = clock_timestamp() + make_interval(secs => %(ttl_seconds)s)
where
    agreement_number = %(agreement_number)s
    and exists (
        select 1
        from economic.sync_run
        where sync_id = %(sync_id)s and status = 'running'
        for share
    )
returning token;
