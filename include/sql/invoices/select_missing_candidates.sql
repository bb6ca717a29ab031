-- The stored invoices that a complete full scan did not show. Invoices that this sync rejected are
-- not missing. Set operations, because a join of two whole tables on stale statistics may be
-- planned as a nested loop.
-- Parameters: agreement_number, sync_id, most.
-- Returns: one row: gone (how many), numbers (up to `most` of them), unnumbered (items of this sync
-- that were refused for want of a usable number: they may be some of those gone).
with gone as materialized (
    select invoice.invoice_number
    from economic.invoice
    inner join economic.sync_run as this_run on this_run.sync_id = %(sync_id)s
    where
        invoice.agreement_number = %(agreement_number)s
        and invoice.missing_since is null
        and invoice.first_seen_at < this_run.started_at
    except
    select staged_invoice.invoice_number
    from economic.staged_invoice
    where staged_invoice.sync_id = %(sync_id)s
    except
    select rejected_invoice.invoice_number
    from economic.rejected_invoice
    where
        rejected_invoice.agreement_number = %(agreement_number)s
        and rejected_invoice.last_sync_id = %(sync_id)s
)

select
    (select count(*) from gone) as gone,
    array(
        select some_gone.invoice_number from gone as some_gone
        order by some_gone.invoice_number limit %(most)s
    ) as numbers,
    (
        select count(*)
        from economic.rejected_invoice
        where
            rejected_invoice.agreement_number = %(agreement_number)s
            and rejected_invoice.last_sync_id = %(sync_id)s
            and rejected_invoice.invoice_number is null
    ) as unnumbered;
