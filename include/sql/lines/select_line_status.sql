-- How the lines of agreements stand.
-- Parameters: agreement_numbers.
-- Returns: a row for each agreement whose lines were ever read: the columns of line_reading, with
-- the status stalled for a run that has lost its place; completed_age and started_age in seconds.
select
    reading.agreement_number,
    case
        when reading.status = 'running' and reading.expires_at < clock_timestamp() then 'stalled'
        else reading.status
    end as status,
    reading.message,
    reading.current,
    reading.total,
    reading.proven,
    reading.differing,
    reading.rejected,
    reading.finished_at,
    reading.counted,
    reading.held,
    extract(epoch from clock_timestamp() - reading.completed_at)::float8 as completed_age,
    extract(epoch from clock_timestamp() - reading.started_at)::float8 as started_age
from economic.line_reading as reading
where reading.agreement_number = any(%(agreement_numbers)s::bigint[]);
