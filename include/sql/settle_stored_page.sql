-- Reads the invoices of a stored page soon after its commit: whoever reads a new row first has PostgreSQL mark it as
-- committed, and with data checksums a page marked after the next checkpoint goes into the write-ahead log whole.
-- Parameters: agreement_number, sync_id, page.
-- Returns: one row: count of invoices read.
select count(*) as settled
from economic.invoice
where
    agreement_number = %(agreement_number)s
    and invoice_number between (
        select min(staged_invoice.invoice_number)
        from economic.staged_invoice
        where staged_invoice.sync_id = %(sync_id)s and staged_invoice.page = %(page)s
    ) and (
        select max(staged_invoice.invoice_number)
        from economic.staged_invoice
        where staged_invoice.sync_id = %(sync_id)s and staged_invoice.page = %(page)s
    );
