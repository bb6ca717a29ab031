-- How many invoices were dated in each of the last 24 months, for a chart; months without any are left out.
-- Parameters: agreement_number.
-- Returns: rows of month (YYYY-MM), invoices; oldest first.
select
    to_char(date_trunc('month', invoice_date), 'YYYY-MM') as month,
    count(*) as invoices
from economic.invoice
where
    agreement_number = %(agreement_number)s
    and missing_since is null
    and invoice_date
    >= date_trunc('month', (clock_timestamp() at time zone 'Europe/Copenhagen')::date) - interval '23 months'
group by date_trunc('month', invoice_date)
order by month;
