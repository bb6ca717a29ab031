-- The highest number of an invoice that was ever stored.
-- Parameters: agreement_number.
-- Returns: one row: highest; null without any invoice.
select max(invoice_number) as highest
from economic.invoice
where agreement_number = %(agreement_number)s;
