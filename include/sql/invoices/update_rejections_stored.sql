-- Resolves the rejections of invoices that pages delivered without a fault. Set operations,
-- because a join on staging, which has no statistics, is planned as a nested loop.
-- Parameters: agreement_number, sync_id, first_page, last_page, rejected (numbers of them that were
-- rejected again).
update economic.rejected_invoice
set resolved_at = now()
where
    agreement_number = %(agreement_number)s
    and resolved_at is null
    and invoice_number = any(array(
        select still_open.invoice_number
        from economic.rejected_invoice as still_open
        where still_open.agreement_number = %(agreement_number)s and still_open.resolved_at is null
        intersect
        select staged_invoice.invoice_number
        from economic.staged_invoice
        where
            staged_invoice.sync_id = %(sync_id)s
            and staged_invoice.page between %(first_page)s and %(last_page)s
        except
        select again.invoice_number
        from unnest(%(rejected)s::bigint[]) as again (invoice_number)
    ));
