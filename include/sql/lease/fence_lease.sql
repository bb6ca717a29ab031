-- Proves as the first statement of every writing transaction that this attempt holds the lease,
-- renews it, and locks it until the commit.
-- Parameters: agreement_number, token, ttl_seconds.
-- Returns: the heartbeat, by which this transaction is known afterwards; no row when the lease is
-- lost.
update economic.sync_lease
set
    heartbeat_at = clock_timestamp(),
    expires_at = clock_timestamp() + make_interval(secs => %(ttl_seconds)s)
where agreement_number = %(agreement_number)s and token = %(token)s and holder is not null
returning heartbeat_at;
