-- Count the rows of each staged page of a sync. PostgreSQL empties staging after a crash.
-- Parameters: sync_id.
-- Returns: one row a page: page, staged (rows), unchanged (those that came exactly as they are
-- stored).
select
    page,
    count(*)::integer as staged,
    count(*) filter (where same)::integer as unchanged
from economic.staged_invoice
where sync_id = %(sync_id)s
group by page
order by page;
