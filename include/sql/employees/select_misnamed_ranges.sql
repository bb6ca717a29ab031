-- The invoices that lack or differ from their employee's name, in ranges.
-- Parameters: agreement_number, rows (invoices of a stretch).
-- Returns: rows of first, last (invoice numbers), ascending; none when all have their names.
with misnamed as (
    select
        invoice.invoice_number,
        (row_number() over (order by invoice.invoice_number) - 1) / %(rows)s as stretch
    from economic.invoice
    inner join economic.employee
        on
            invoice.agreement_number = employee.agreement_number
            and invoice.employee_number = employee.employee_number
    where
        invoice.agreement_number = %(agreement_number)s
        and employee.name is not null
        and invoice.employee_name is distinct from employee.name
)

select
    min(invoice_number) as first,
    max(invoice_number) as last
from misnamed
group by stretch
order by stretch;
