-- Lets one migration run at a time; held to the end of the transaction.
-- Returns: one row.
select pg_advisory_xact_lock(hashtext('economic.schema_version')) as locked;
