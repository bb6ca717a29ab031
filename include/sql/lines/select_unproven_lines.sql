-- Invoices whose lines are not proven: first those with a line that cannot be stored.
-- Parameters: agreement_number, most.
-- Returns: at most that many rows: how the lines stand; of a rejected one the field and the reason.
select
    invoice_number,
    status,
    field,
    reason,
    message,
    difference,
    tries,
    first_read_at,
    last_read_at
from economic.line_check
where agreement_number = %(agreement_number)s and status <> 'proven'
order by status desc, invoice_number desc
limit %(most)s;
