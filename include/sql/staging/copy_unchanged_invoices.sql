-- Stages the numbers of unchanged invoices, by COPY.
-- Columns: as listed, tab-separated text.
copy economic.staged_invoice (sync_id, page, position, invoice_number, same) from stdin;
