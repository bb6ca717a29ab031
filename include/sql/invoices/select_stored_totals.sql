-- What the copy holds of an agreement: compared with e-conomic's totals, and kept with the sync.
-- The agreement's invoices are read once.
-- Parameters: agreement_number.
-- Returns: one row: counts and sums in base currency over invoices not missing; `without_base`,
-- those whose net amount in base currency is not known; the count of missing ones; of open
-- rejections, and of those of which nothing is held; `months`, how many invoices are dated in each
-- of the last 24 months (YYYY-MM; those without any are left out).
with now_there as (
    select
        (clock_timestamp() at time zone 'Europe/Copenhagen')::date as day,
        (date_trunc('month', clock_timestamp() at time zone 'Europe/Copenhagen') - interval '23 months')::date
            as first_month
),

by_month as (
    select
        date_trunc('month', invoice.invoice_date::timestamp) as month,
        count(*) filter (where invoice.missing_since is null) as held,
        sum(invoice.net_amount_base) filter (where invoice.missing_since is null) as net_amount_base,
        sum(invoice.remainder_base) filter (where invoice.missing_since is null) as remainder_base,
        count(*) filter (where invoice.missing_since is null and invoice.net_amount_base is null) as without_base,
        count(*) filter (
            where invoice.missing_since is null and invoice.remainder > 0
            and not coalesce(invoice.due_date < now_there.day, false)
        ) as unpaid,
        count(*) filter (
            where invoice.missing_since is null and invoice.remainder > 0 and invoice.due_date < now_there.day
        ) as overdue,
        sum(invoice.remainder_base) filter (
            where invoice.missing_since is null and invoice.remainder > 0 and invoice.due_date < now_there.day
        ) as overdue_base,
        count(*) filter (where invoice.missing_since is null and invoice.remainder < 0) as credit,
        count(*) filter (where invoice.missing_since is not null) as missing
    from economic.invoice
    cross join now_there
    where invoice.agreement_number = %(agreement_number)s
    group by date_trunc('month', invoice.invoice_date::timestamp)
)

select
    coalesce(sum(by_month.held), 0)::bigint as invoice_count,
    coalesce(sum(by_month.net_amount_base), 0) as net_amount_base,
    coalesce(sum(by_month.remainder_base), 0) as remainder_base,
    coalesce(sum(by_month.without_base), 0)::bigint as without_base,
    coalesce(sum(by_month.unpaid), 0)::bigint as open_count,
    coalesce(sum(by_month.overdue), 0)::bigint as overdue_count,
    coalesce(sum(by_month.overdue_base), 0) as overdue_base,
    coalesce(sum(by_month.credit), 0)::bigint as credit_count,
    coalesce(sum(by_month.missing), 0)::bigint as missing_count,
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
    ) as base_currency,
    coalesce(
        jsonb_object_agg(to_char(by_month.month, 'YYYY-MM'), by_month.held)
        filter (where by_month.month >= (select now_there.first_month from now_there) and by_month.held > 0),
        '{}'::jsonb
    ) as months
from by_month;
