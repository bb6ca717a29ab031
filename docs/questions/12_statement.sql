-- What is the account of customer 3037 since October?
select entry_date, entry, invoice_number, amount, currency, balance
from economic.customer_statement(3037)
where entry_date >= '2026-10-01';
