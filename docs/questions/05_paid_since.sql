-- Which of the largest invoices open on 13 November have been paid since?
select earlier.customer_name, earlier.invoice_number, earlier.currency, earlier.remainder as owed_then,
    coalesce(now_open.remainder, 0) as owed_now
from economic.receivables_as_of('2026-11-13') as earlier
left join economic.receivables as now_open using (agreement_number, invoice_number)
where earlier.remainder > coalesce(now_open.remainder, 0)
order by earlier.remainder_base desc
limit 5;
