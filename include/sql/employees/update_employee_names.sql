-- Writes employees' names onto a range of invoices that lack or differ from them; never removes a
-- name.
-- Parameters: agreement_number, first, last (invoice numbers).
update economic.invoice
set employee_name = employee.name
from economic.employee
where
    invoice.agreement_number = %(agreement_number)s
    and invoice.invoice_number between %(first)s and %(last)s
    and employee.agreement_number = invoice.agreement_number
    and employee.employee_number = invoice.employee_number
    and employee.name is not null
    and invoice.employee_name is distinct from employee.name;
