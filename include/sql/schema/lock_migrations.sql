-- Lets one migration run at a time, until the end of its transaction; reading the version is not
-- blocked. A role that may only read the table cannot take this lock.
lock table economic.schema_version in share row exclusive mode;
