-- Forgets how the lines of missing invoices stand: when one returns, its lines are read again.
-- Parameters: agreement_number.
-- Returns: affects these invoices' rows.
delete from economic.line_check
using economic.invoice
where
    line_check.agreement_number = %(agreement_number)s
    and invoice.agreement_number = line_check.agreement_number
    and invoice.invoice_number = line_check.invoice_number
    and invoice.missing_since is not null;
