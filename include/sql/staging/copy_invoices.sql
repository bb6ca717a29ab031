-- Stages a page of validated invoices, by COPY. The items are text: PostgreSQL parses each when it
-- is stored, and rejects one that it cannot read.
-- Columns: as listed, tab-separated text.
copy economic.staged_invoice (
    sync_id, page, position, invoice_number, order_number, invoice_date, due_date, currency,
    exchange_rate, net_amount, vat_amount, gross_amount, remainder, net_amount_base,
    gross_amount_base, remainder_base, rounding_amount, customer_number, customer_name,
    recipient_address, recipient_zip, recipient_city, recipient_country, recipient_ean,
    recipient_cvr, vat_zone_number, subject, external_reference, employee_number,
    vendor_employee_number, payment_terms_number, payment_terms_name, payment_terms_type,
    days_of_credit, project_number, layout_number, pdf_url, raw_data, digest
) from stdin;
