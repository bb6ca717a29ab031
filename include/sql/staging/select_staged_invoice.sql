-- One staged invoice, to be rejected.
-- Parameters: sync_id, page, position.
-- Returns: one row: invoice number, raw item.
select
    invoice_number,
    raw_data
from economic.staged_invoice
where sync_id = %(sync_id)s and page = %(page)s and position = %(position)s;
