-- Bounds one transaction, so that a frozen client cannot hold its locks: settings of this transaction alone,
-- which also suits a pooler.
-- Parameters: statement, lock, idle: PostgreSQL durations such as '60s'.
-- Returns: one row.
select
    set_config('statement_timeout', %(statement)s, true) as statement_timeout,
    set_config('lock_timeout', %(lock)s, true) as lock_timeout,
    set_config('idle_in_transaction_session_timeout', %(idle)s, true) as idle_timeout,
    set_config('timezone', 'UTC', true) as timezone;
