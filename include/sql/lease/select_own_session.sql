-- By what another session finds this transaction: a pooler may give the next one to another server
-- process.
-- Returns: one row: pid, began.
select
    pg_backend_pid() as pid,
    transaction_timestamp() as began;
