-- The number of rows of each staged page of a sync; PostgreSQL empties staging in a crash.
-- Parameters: sync_id.
-- Returns: one row a page: page, staged (rows).
select
    page,
    count(*)::integer as staged
from economic.staged_invoice
where sync_id = %(sync_id)s
group by page
order by page;
