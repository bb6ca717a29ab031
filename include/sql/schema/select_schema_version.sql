-- The newest migration that was applied.
-- Returns: one row: version, null when none was.
select max(version) as version
from economic.schema_version;
