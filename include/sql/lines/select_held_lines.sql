-- How many lines are held of the invoices in a range of numbers.
-- Parameters: agreement_number, first, last.
-- Returns: one row: numbers (of these invoices, ascending), line_count.
select
    coalesce(array_agg(invoice_number order by invoice_number), '{}') as numbers,
    coalesce(sum(line_count), 0)::bigint as line_count
from economic.line_check
where agreement_number = %(agreement_number)s and invoice_number between %(first)s and %(last)s;
