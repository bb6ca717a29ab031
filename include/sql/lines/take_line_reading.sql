-- Takes the place of the one run that reads lines. A later try of the same run takes over at once,
-- another run when the holder has not written for a while. The first token is the time, so that a
-- table that a restore has emptied gives none a second time.
-- Parameters: agreement_number, attempt, ttl_seconds.
-- Returns: the token; no row when another run reads.
insert into economic.line_reading as held (agreement_number, token, attempt, expires_at, status, started_at, updated_at)
values (
    %(agreement_number)s,
    extract(epoch from clock_timestamp())::bigint,
    %(attempt)s,
    clock_timestamp() + make_interval(secs => %(ttl_seconds)s),
    'running',
    clock_timestamp(),
    clock_timestamp()
)
on conflict (agreement_number) do update
    set
        token = held.token + 1,
        attempt = excluded.attempt,
        expires_at = excluded.expires_at,
        status = 'running',
        message = '',
        current = 0,
        total = 0,
        started_at = excluded.started_at,
        updated_at = excluded.updated_at,
        finished_at = null,
        statistics = '{}'
    where held.attempt is null or held.attempt = excluded.attempt or held.expires_at < clock_timestamp()
returning token;
