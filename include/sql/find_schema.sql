-- Whether the table of applied migrations exists, and what the server is.
-- Returns: one row: exists, server encoding, server version number.
select
    to_regclass('economic.schema_version') is not null as installed,
    current_setting('server_encoding') as encoding,
    current_setting('server_version_num')::integer as server_version;
