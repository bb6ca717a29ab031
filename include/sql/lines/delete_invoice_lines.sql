-- Deletes the lines of invoices that are about to be written again.
-- Parameters: agreement_number, numbers.
-- Returns: affects the deleted lines.
delete from economic.invoice_line
where agreement_number = %(agreement_number)s and invoice_number = any(%(numbers)s::bigint[]);
