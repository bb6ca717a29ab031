-- The numbers of the rejected invoices that no sync has stored since.
-- Parameters: agreement_number.
-- Returns: rows of invoice_number, last_sync_id (the last sync that rejected it).
select
    invoice_number,
    last_sync_id
from economic.rejected_invoice
where agreement_number = %(agreement_number)s and resolved_at is null and invoice_number is not null;
