-- Identifies this transaction for another session: a pooler may give the next transaction to
-- another server process.
-- Returns: one row: pid, began.
select
    pg_backend_pid() as pid,
    transaction_timestamp() as began;
