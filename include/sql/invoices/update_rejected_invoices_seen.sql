-- Unmarks missing invoices that this sync has seen again and rejected. A stored invoice is unmarked
-- with its page.
-- Parameters: agreement_number, sync_id.
-- Returns: one row: returned, how many.
with returned as (
    update economic.invoice
    set missing_since = null
    where
        agreement_number = %(agreement_number)s
        and missing_since is not null
        -- an array, so that each looks its own number up in the key instead of the whole table
        -- being read
        and invoice_number = any(array(
            select rejected_invoice.invoice_number
            from economic.rejected_invoice
            where
                rejected_invoice.agreement_number = %(agreement_number)s
                and rejected_invoice.last_sync_id = %(sync_id)s
        ))
    returning invoice_number
)

select count(*) as returned
from returned;
