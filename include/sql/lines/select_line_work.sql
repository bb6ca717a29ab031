-- Which invoices' lines are to be read: those never read, those whose net amount has changed since,
-- and for a week each day those that are not proven.
-- Parameters: agreement_number.
-- Returns: a row for each invoice, ascending: invoice_number, whether it was read before (again).
with unread as materialized (
    -- Two scans of keys; a join would read the whole table.
    select invoice_number
    from economic.invoice
    where agreement_number = %(agreement_number)s
    except
    select invoice_number
    from economic.line_check
    where agreement_number = %(agreement_number)s
),

unproven as (
    select invoice_number
    from economic.line_check
    where
        agreement_number = %(agreement_number)s
        and status <> 'proven'
        and last_read_at < now() - interval '20 hours'
        and first_read_at > now() - interval '7 days'
),

altered as (
    select distinct history.invoice_number
    from economic.invoice_history as history
    where
        history.agreement_number = %(agreement_number)s
        and history.new_values ? 'net_amount'
        and history.changed_at > coalesce(
            (
                -- A transaction that was open then may have committed later.
                select reading.completed_at - interval '1 hour'
                from economic.line_reading as reading
                where reading.agreement_number = %(agreement_number)s
            ),
            '-infinity'
        )
),

wanted as (
    select invoice_number
    from unread
    union
    select invoice_number
    from unproven
    union
    select invoice_number
    from altered
)

-- Each looks its own number up in the keys: a join was seen to compare each with all.
select
    wanted.invoice_number,
    checked.status is not null as again
from wanted
cross join
    lateral (
        select
            invoice.missing_since,
            invoice.net_amount
        from economic.invoice
        where invoice.agreement_number = %(agreement_number)s and invoice.invoice_number = wanted.invoice_number
        order by invoice.invoice_number
        limit 1
    ) as held
left join lateral (
    select
        line_check.status,
        line_check.invoice_net_amount
    from economic.line_check
    where line_check.agreement_number = %(agreement_number)s and line_check.invoice_number = wanted.invoice_number
    order by line_check.invoice_number
    limit 1
) as checked on true
where
    held.missing_since is null
    and (
        checked.status is null
        or checked.invoice_net_amount <> held.net_amount
        or wanted.invoice_number in (select unproven.invoice_number from unproven)
    )
order by wanted.invoice_number;
