-- How recent the stored employees are, and whether an invoice names an unknown one.
-- Parameters: agreement_number, cache_seconds.
-- Returns: one row: employees known, fresh (all within the cache time), uncovered (invoices name
-- others).
select
    (
        select count(*)
        from economic.employee
        where employee.agreement_number = %(agreement_number)s and not employee.unknown
    ) as known,
    coalesce((
        select min(employee.fetched_at) > clock_timestamp() - make_interval(secs => %(cache_seconds)s)
        from economic.employee
        where employee.agreement_number = %(agreement_number)s
    ), false) as fresh,
    exists(
        select 1
        from economic.invoice
        where
            invoice.agreement_number = %(agreement_number)s
            and invoice.employee_number is not null
            and not exists (
                select 1
                from economic.employee
                where
                    employee.agreement_number = invoice.agreement_number
                    and employee.employee_number = invoice.employee_number
            )
    ) as uncovered;
