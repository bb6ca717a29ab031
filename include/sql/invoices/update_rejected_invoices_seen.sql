-- Unmarks missing invoices that this sync has seen again and rejected, and records since when they
-- were missing. A stored invoice is unmarked with its page.
-- Parameters: agreement_number, sync_id.
-- Returns: one row: returned, how many.
with gone as (
    select
        invoice.invoice_number,
        invoice.last_changed_at,
        invoice.missing_since
    from economic.invoice
    where
        invoice.agreement_number = %(agreement_number)s
        and invoice.missing_since is not null
        -- an array, so that each looks its own number up in the key instead of the whole table
        -- being read
        and invoice.invoice_number = any(array(
            select rejected_invoice.invoice_number
            from economic.rejected_invoice
            where
                rejected_invoice.agreement_number = %(agreement_number)s
                and rejected_invoice.last_sync_id = %(sync_id)s
        ))
),

returned as (
    update economic.invoice
    set missing_since = null
    from gone
    where
        invoice.agreement_number = %(agreement_number)s
        and invoice.invoice_number = gone.invoice_number
    returning invoice.invoice_number
),

noted as (
    insert into economic.invoice_history (
        agreement_number, invoice_number, old_values_since, sync_id, old_values, new_values
    )
    select
        %(agreement_number)s,
        gone.invoice_number,
        gone.last_changed_at as old_values_since,
        %(sync_id)s,
        jsonb_build_object('missing_since', gone.missing_since) as old_values,
        jsonb_build_object('missing_since', null) as new_values
    from gone
)

select count(*) as returned
from returned;
