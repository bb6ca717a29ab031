-- How the lines of agreements stand.
-- Parameters: agreement_numbers.
-- Returns: a row for each agreement whose lines are read: the columns of line_reading, invoices
-- (held at the last sync), and completed_age in seconds.
select
    reading.agreement_number,
    case
        when reading.status = 'running' and reading.expires_at < clock_timestamp() then 'stalled' else reading.status
    end as status,
    reading.message,
    reading.current,
    reading.total,
    reading.proven,
    reading.differing,
    reading.rejected,
    company.invoices,
    reading.started_at,
    reading.updated_at,
    reading.finished_at,
    reading.completed_at,
    reading.counted,
    reading.held,
    reading.counted_at,
    extract(epoch from clock_timestamp() - reading.completed_at)::float8 as completed_age
from economic.line_reading as reading
left join economic.sync_status as company on reading.agreement_number = company.agreement_number
where reading.agreement_number = any(%(agreement_numbers)s::bigint[]);
