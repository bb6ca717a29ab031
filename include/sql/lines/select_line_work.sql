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

select
    wanted.invoice_number,
    checked.invoice_number is not null as again
from wanted
inner join economic.invoice
    on
        invoice.agreement_number = %(agreement_number)s
        and wanted.invoice_number = invoice.invoice_number
left join economic.line_check as checked
    on
        checked.agreement_number = %(agreement_number)s
        and wanted.invoice_number = checked.invoice_number
where
    invoice.missing_since is null
    and (
        checked.status is null
        or checked.invoice_net_amount <> invoice.net_amount
        or wanted.invoice_number in (select unproven.invoice_number from unproven)
    )
order by wanted.invoice_number;
