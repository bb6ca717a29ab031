-- How many rows each page of a sync has in staging (which PostgreSQL empties after a crash).
-- Parameters: sync_id.
-- Returns: one row a page: page, staged (rows), known (those of them that came exactly as they are stored).
select
    page,
    count(*)::integer as staged,
    count(*) filter (where same)::integer as known
from economic.staged_invoice
where sync_id = %(sync_id)s
group by page
order by page;
