-- What the copy holds of an agreement: to compare with e-conomic's own totals, and kept with the sync for whoever asks.
-- Parameters: agreement_number.
-- Returns: one row: counts and sums in base currency over invoices not missing; `without_base`, those whose net amount
-- in base currency is not known; the count of missing ones; of open rejections, and of those of which nothing is held.
with today as (
    select (clock_timestamp() at time zone 'Europe/Copenhagen')::date as day
)

select
    count(*) filter (where invoice.missing_since is null) as invoice_count,
    coalesce(sum(invoice.net_amount_base) filter (where invoice.missing_since is null), 0) as net_amount_base,
    coalesce(sum(invoice.remainder_base) filter (where invoice.missing_since is null), 0) as remainder_base,
    count(*) filter (where invoice.missing_since is null and invoice.net_amount_base is null) as without_base,
    count(*) filter (
        where invoice.missing_since is null and invoice.remainder > 0
        and not coalesce(invoice.due_date < today.day, false)
    ) as open_count,
    count(*) filter (
        where invoice.missing_since is null and invoice.remainder > 0 and invoice.due_date < today.day
    ) as overdue_count,
    coalesce(sum(invoice.remainder_base) filter (
        where invoice.missing_since is null and invoice.remainder > 0 and invoice.due_date < today.day
    ), 0) as overdue_base,
    count(*) filter (where invoice.missing_since is null and invoice.remainder < 0) as credit_count,
    count(*) filter (where invoice.missing_since is not null) as missing_count,
    (
        select count(*)
        from economic.rejected_invoice
        where
            rejected_invoice.agreement_number = %(agreement_number)s
            and rejected_invoice.resolved_at is null
    ) as rejected_count,
    (
        select count(*)
        from economic.rejected_invoice
        where
            rejected_invoice.agreement_number = %(agreement_number)s
            and rejected_invoice.resolved_at is null
            and not exists (
                select 1
                from economic.invoice as earlier
                where
                    earlier.agreement_number = rejected_invoice.agreement_number
                    and earlier.invoice_number = rejected_invoice.invoice_number
                    and earlier.missing_since is null
            )
    ) as unheld_count,
    (
        select agreement.base_currency
        from economic.agreement
        where agreement.agreement_number = %(agreement_number)s
    ) as base_currency
from economic.invoice
cross join today
where invoice.agreement_number = %(agreement_number)s;
