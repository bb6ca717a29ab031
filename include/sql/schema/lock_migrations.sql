-- Lets one migration run at a time, to the end of the transaction; readers and syncs that read the
-- version go on. A role that may only read the table cannot take this lock.
lock table economic.schema_version in share row exclusive mode;
