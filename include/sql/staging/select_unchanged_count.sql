-- How many invoices of a stretch of staged pages came exactly as they are stored.
-- Parameters: sync_id, first_page, last_page.
-- Returns: one row: unchanged.
select count(*) as unchanged
from economic.staged_invoice
where
    sync_id = %(sync_id)s
    and page between %(first_page)s and %(last_page)s
    and same;
