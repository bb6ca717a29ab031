-- The number of rows of staged pages of a sync; PostgreSQL empties staging in a crash.
-- Parameters: sync_id, first_page, last_page.
-- Returns: one row a page: page, rows, parsed (those that were not recognised as unchanged).
select
    page,
    count(*)::integer as rows,
    (count(*) filter (where not same))::integer as parsed
from economic.staged_invoice
where sync_id = %(sync_id)s and page between %(first_page)s and %(last_page)s
group by page
order by page;
