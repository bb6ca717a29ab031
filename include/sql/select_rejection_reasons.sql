-- As select_rejections, without the message, which may hold a rejected value: for a role that may not read values.
-- Parameters: agreement_number, most.
-- Returns: rows.
select
    invoice_number,
    field,
    reason,
    null as message,
    first_seen_at,
    last_seen_at,
    seen_count,
    resolved_at
from economic.rejected_invoice
where agreement_number = %(agreement_number)s
order by (resolved_at is not null) asc, last_seen_at desc, item_key asc
limit %(most)s;
