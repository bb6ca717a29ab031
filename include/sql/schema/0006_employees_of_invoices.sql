-- Which employees invoices name is asked several times a sync; few invoices name one, so the index is small.

create index invoice_of_employee on economic.invoice (agreement_number, employee_number)
where employee_number is not null;
