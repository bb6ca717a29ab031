-- To be run once in a restored invoice database, before a sync runs in it: see docs/operations.md.
-- A restore turns back the tokens of leases and of readings of lines, and the syncs' numbers. All of
-- them must only grow: a process of
-- before the restore could otherwise hold a token, or a number, that is given to somebody else
-- again. A million is more than were ever handed out since the dump.
begin;

update economic.sync_lease
set
    token = token + 1000000,
    holder = null,
    attempt = null,
    expires_at = null;

update economic.line_reading
set
    token = token + 1000000,
    attempt = null,
    expires_at = null,
    status = case when status = 'running' then 'failed' else status end,
    message = case when status = 'running' then 'The database was restored from a dump.' else message end;

update economic.sync_run
set
    status = 'abandoned',
    phase = 'ended',
    message = 'Abandoned: the database was restored from a dump.',
    updated_at = clock_timestamp(),
    finished_at = clock_timestamp()
where status = 'running';

delete from economic.staged_invoice;

select setval(pg_get_serial_sequence('economic.sync_run', 'sync_id'), coalesce(max(sync_id), 0) + 1000000)
from economic.sync_run;

commit;
