-- Marks the employees that e-conomic does not list: those that invoices name, stored or staged, and
-- those listed before. Their names stay.
-- Parameters: agreement_number, sync_id, listed (the numbers it lists).
-- Returns: the numbers that invoices name.
insert into economic.employee as known (agreement_number, employee_number, name, unknown, fetched_at)
select
    %(agreement_number)s,
    wanted.employee_number,
    null as name,
    true as unknown,
    clock_timestamp() as fetched_at
from (
    select invoice.employee_number
    from economic.invoice
    where invoice.agreement_number = %(agreement_number)s and invoice.employee_number is not null
    union
    select staged_invoice.employee_number
    from economic.staged_invoice
    where staged_invoice.sync_id = %(sync_id)s and staged_invoice.employee_number is not null
    union
    select employee.employee_number
    from economic.employee
    where employee.agreement_number = %(agreement_number)s
) as wanted
where wanted.employee_number <> all(%(listed)s::bigint[])
on conflict (agreement_number, employee_number) do update
    set unknown = true, fetched_at = excluded.fetched_at
returning known.employee_number;
