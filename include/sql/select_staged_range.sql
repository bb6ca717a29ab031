-- What a page of staging spans.
-- Parameters: sync_id, page.
-- Returns: one row: rows, first and last position, lowest and highest invoice number (null when empty).
select
    count(*)::integer as staged,
    min(position) as first_position,
    max(position) as last_position
from economic.staged_invoice
where sync_id = %(sync_id)s and page = %(page)s;
