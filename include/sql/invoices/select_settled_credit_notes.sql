-- The settled credit notes of the customers of these invoices, missing ones left out.
-- Parameters: agreement_number, numbers (of the invoices).
-- Returns: rows of invoice_number.
select credit_note.invoice_number
from economic.invoice as credit_note
where
    credit_note.agreement_number = %(agreement_number)s
    and credit_note.gross_amount < 0
    and credit_note.remainder = 0
    and credit_note.missing_since is null
    and credit_note.customer_number in (
        select invoice.customer_number
        from economic.invoice
        where
            invoice.agreement_number = %(agreement_number)s
            and invoice.invoice_number = any(%(numbers)s::bigint[])
    );
