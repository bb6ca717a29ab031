-- Takes the numbers of invoices in that came exactly as they are stored, by COPY.
-- Columns: as listed, tab-separated text.
copy economic.staged_invoice (sync_id, page, position, invoice_number, same) from stdin;
