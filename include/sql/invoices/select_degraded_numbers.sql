-- The invoices that are stored with a field left out.
-- Parameters: agreement_number.
-- Returns: rows of invoice_number.
select distinct invoice_number
from economic.degraded_field
where agreement_number = %(agreement_number)s and resolved_at is null;
