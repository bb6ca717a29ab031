-- The invoices with something left to pay, missing ones left out.
-- Parameters: agreement_number.
-- Returns: rows of invoice_number, remainder.
select
    invoice_number,
    remainder
from economic.invoice
where agreement_number = %(agreement_number)s and remainder <> 0 and missing_since is null;
