-- Stages those invoices of a page that are stored exactly so, by number only, from position 1 on.
-- An invoice that is missing, or must be read again, is none of them. Each looks its own number up
-- in the key: a join was seen to read the whole table for every page.
-- Parameters: agreement_number, sync_id, page, numbers and digests (of the page, in one order).
-- Returns: one row: numbers, of those staged.
with unchanged as (
    insert into economic.staged_invoice (sync_id, page, position, invoice_number, same)
    select
        %(sync_id)s,
        %(page)s,
        row_number() over () as place,
        delivered.invoice_number,
        true as recognised
    from unnest(%(numbers)s::bigint[], %(digests)s::bytea[]) as delivered (invoice_number, digest)
    where
        delivered.digest = (
            select invoice.digest
            from economic.invoice
            where
                invoice.agreement_number = %(agreement_number)s
                and invoice.invoice_number = delivered.invoice_number
                and invoice.missing_since is null
        )
    returning invoice_number
)

select coalesce(array_agg(invoice_number), '{}') as numbers
from unchanged;
