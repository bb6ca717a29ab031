-- Marks rejections resolved whose invoice a stretch of pages delivered healthy.
-- Parameters: agreement_number, sync_id, first_page, last_page, refused (numbers of them that were refused again).
update economic.rejected_invoice
set resolved_at = now()
where
    agreement_number = %(agreement_number)s
    and resolved_at is null
    and invoice_number <> all(%(refused)s::bigint[])
    and invoice_number in (
        select staged_invoice.invoice_number
        from economic.staged_invoice
        where
            staged_invoice.sync_id = %(sync_id)s
            and staged_invoice.page between %(first_page)s and %(last_page)s
    );
