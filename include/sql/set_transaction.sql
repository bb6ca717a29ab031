-- Sets up a transaction, as its first statement: limits, so that a frozen client cannot hold its
-- locks, and everything that changes how values are written or names are found. The settings last
-- for this transaction, which suits a pooler, and override those of the server, the role, the
-- connection and PG* variables.
-- Parameters: statement, lock, idle: PostgreSQL durations such as '60s'.
-- Returns: one row.
select
    pg_catalog.set_config('statement_timeout', %(statement)s, true) as statement_timeout,
    pg_catalog.set_config('lock_timeout', %(lock)s, true) as lock_timeout,
    pg_catalog.set_config('idle_in_transaction_session_timeout', %(idle)s, true) as idle_timeout,
    -- PostgreSQL 17 and newer: the three above are the limits here
    case
        when pg_catalog.current_setting('transaction_timeout', true) is not null
            then pg_catalog.set_config('transaction_timeout', '0', true)
    end as transaction_timeout,
    pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true) as search_path,
    pg_catalog.set_config('client_encoding', 'UTF8', true) as client_encoding,
    pg_catalog.set_config('timezone', 'UTC', true) as timezone,
    pg_catalog.set_config('datestyle', 'ISO, YMD', true) as datestyle,
    pg_catalog.set_config('intervalstyle', 'postgres', true) as intervalstyle,
    pg_catalog.set_config('extra_float_digits', '1', true) as extra_float_digits,
    pg_catalog.set_config('bytea_output', 'hex', true) as bytea_output,
    pg_catalog.set_config('standard_conforming_strings', 'on', true) as standard_conforming_strings,
    pg_catalog.set_config('array_nulls', 'on', true) as array_nulls,
    pg_catalog.set_config('transform_null_equals', 'off', true) as transform_null_equals,
    pg_catalog.set_config('quote_all_identifiers', 'off', true) as quote_all_identifiers,
    pg_catalog.set_config('lc_numeric', 'C', true) as lc_numeric,
    pg_catalog.set_config('lc_time', 'C', true) as lc_time;
