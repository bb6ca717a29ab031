-- Counts how the lines of an agreement's invoices stand.
-- Parameters: agreement_number.
-- Returns: one row: proven, differing, rejected.
update economic.line_reading
set
    proven = counts.proven,
    differing = counts.differing,
    rejected = counts.rejected
from (
    select
        count(*) filter (where status = 'proven') as proven,
        count(*) filter (where status = 'differing') as differing,
        count(*) filter (where status = 'rejected') as rejected
    from economic.line_check
    where agreement_number = %(agreement_number)s
) as counts
where line_reading.agreement_number = %(agreement_number)s
returning line_reading.proven, line_reading.differing, line_reading.rejected;
