-- Marks invoices that a complete full scan did not show; nothing is ever deleted.
-- Parameters: agreement_number, numbers.
update economic.invoice
set missing_since = now()
where
    agreement_number = %(agreement_number)s
    and invoice_number = any(%(numbers)s::bigint[])
    and missing_since is null;
