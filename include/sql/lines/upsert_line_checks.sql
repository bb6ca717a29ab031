-- Compares the lines of invoices that were just written with the invoices' net amounts.
-- Parameters: agreement_number, numbers; of rejected lines in one order: rejected_numbers, fields,
-- reasons, messages, items (the first of each invoice), line_counts (how many).
-- Returns: a row for each invoice: invoice_number, status.
with held as (
    select
        invoice_number,
        count(*) as line_count,
        coalesce(sum(net_amount), 0) as net_amount
    from economic.invoice_line
    where agreement_number = %(agreement_number)s and invoice_number = any(%(numbers)s::bigint[])
    group by invoice_number
)

insert into economic.line_check (
    agreement_number, invoice_number, status, line_count, lines_net_amount, invoice_net_amount, field, reason,
    message, rejected_item
)
select
    invoice.agreement_number,
    invoice.invoice_number,
    case
        when rejected.invoice_number is not null then 'rejected'
        when round(coalesce(held.net_amount, 0), 2) = round(invoice.net_amount, 2) then 'proven'
        else 'differing'
    end as line_status,
    coalesce(held.line_count, 0) + coalesce(rejected.line_count, 0) as total_lines,
    coalesce(held.net_amount, 0) as lines_net_amount,
    invoice.net_amount,
    rejected.field,
    rejected.reason,
    rejected.message,
    rejected.item
from economic.invoice
left join held on invoice.invoice_number = held.invoice_number
left join
    unnest(
        %(rejected_numbers)s::bigint[],
        %(fields)s::text[],
        %(reasons)s::text[],
        %(messages)s::text[],
        %(items)s::text[],
        %(line_counts)s::bigint[]
    ) as rejected (invoice_number, field, reason, message, item, line_count)
    on invoice.invoice_number = rejected.invoice_number
where
    invoice.agreement_number = %(agreement_number)s
    and invoice.invoice_number = any(%(numbers)s::bigint[])
on conflict (agreement_number, invoice_number) do update
    set
        status = excluded.status,
        line_count = excluded.line_count,
        lines_net_amount = excluded.lines_net_amount,
        invoice_net_amount = excluded.invoice_net_amount,
        field = excluded.field,
        reason = excluded.reason,
        message = excluded.message,
        rejected_item = excluded.rejected_item,
        tries = line_check.tries + 1,
        -- The week of daily readings begins anew when what was proven is not any more.
        first_read_at = case
            when
                line_check.invoice_net_amount = excluded.invoice_net_amount
                and (line_check.status <> 'proven' or excluded.status = 'proven')
                then line_check.first_read_at
            else excluded.first_read_at
        end,
        last_read_at = excluded.last_read_at
returning invoice_number, status;
