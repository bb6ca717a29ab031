-- The digests of stored invoices, by which unchanged items are recognised.
-- Parameters: agreement_number, numbers.
-- Returns: rows of invoice_number, digest; none for an invoice that is not stored, is missing, or
-- must be read again.
select
    invoice_number,
    digest
from economic.invoice
where
    agreement_number = %(agreement_number)s
    and invoice_number = any(%(numbers)s::bigint[])
    and missing_since is null
    and digest is not null;
