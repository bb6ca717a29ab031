-- Stores the list of employees; all count as fetched now.
-- Parameters: agreement_number, numbers, names (arrays of one length).
insert into economic.employee as known (agreement_number, employee_number, name, unknown, fetched_at)
select
    %(agreement_number)s,
    listed.employee_number,
    listed.name,
    false as unknown,
    clock_timestamp() as fetched_at
from unnest(%(numbers)s::bigint[], %(names)s::text[]) as listed (employee_number, name)
on conflict (agreement_number, employee_number) do update
    set
        name = coalesce(excluded.name, known.name),
        unknown = false,
        fetched_at = excluded.fetched_at;
