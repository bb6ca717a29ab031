-- Invoices that e-conomic may have and whose lines are not held: rejected ones, and those that were
-- not read, as missing ones and those that a sync has stored meanwhile.
-- Parameters: agreement_number, last (highest number that counts), most.
-- Returns: at most that many rows: invoice_number.
select rejected.invoice_number
from economic.rejected_invoice as rejected
where
    rejected.agreement_number = %(agreement_number)s
    and rejected.resolved_at is null
    and rejected.invoice_number <= %(last)s
    and not exists (
        select 1
        from economic.invoice
        where
            invoice.agreement_number = rejected.agreement_number
            and invoice.invoice_number = rejected.invoice_number
    )
union
(
    select invoice_number
    from economic.invoice
    where agreement_number = %(agreement_number)s and invoice_number <= %(last)s
    except
    select invoice_number
    from economic.line_check
    where agreement_number = %(agreement_number)s
)
order by invoice_number
limit %(most)s;
