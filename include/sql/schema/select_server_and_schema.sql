-- Whether the table of applied migrations exists, and the server's encoding and version. Read from
-- the catalog's rows: to_regclass() may answer from a cache that is older than the lock just waited
-- for.
-- Returns: one row: installed, encoding, server_version.
select
    exists(
        select 1
        from pg_class as class
        inner join pg_namespace as namespace on class.relnamespace = namespace.oid
        where namespace.nspname = 'economic' and class.relname = 'schema_version'
    ) as installed,
    current_setting('server_encoding') as encoding,
    current_setting('server_version_num')::integer as server_version;
