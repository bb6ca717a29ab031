-- Like select_rejections, without the message: for a role that may not read values.
-- Parameters: agreement_number, most.
-- Returns: rows; degraded says that the invoice is stored without the field.
select listed.*
from (
    select
        invoice_number,
        field,
        reason,
        null as message,
        first_seen_at,
        last_seen_at,
        seen_count,
        resolved_at,
        false as degraded
    from economic.rejected_invoice
    where agreement_number = %(agreement_number)s
    union all
    select
        invoice_number,
        field,
        reason,
        null as message,
        first_seen_at,
        last_seen_at,
        null as seen_count,
        resolved_at,
        true as degraded
    from economic.degraded_field
    where agreement_number = %(agreement_number)s
) as listed
order by
    (listed.resolved_at is not null) asc,
    listed.degraded asc,
    listed.last_seen_at desc,
    listed.invoice_number asc,
    listed.field asc
limit %(most)s;
