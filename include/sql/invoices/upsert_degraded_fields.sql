-- Reports the fields that invoices are stored without, and resolves older reports of them.
-- Parameters: agreement_number, sync_id, numbers, fields, reasons, messages (one each a report, in
-- the same order), parsed (the invoices whose reports these are all).
-- Returns: nothing; the row count is that of the reports resolved.
with report as materialized (
    select
        reported.invoice_number,
        reported.field,
        reported.reason,
        reported.message
    from
        unnest(
            %(numbers)s::bigint[], %(fields)s::text[], %(reasons)s::text[], %(messages)s::text[]
        ) as reported (invoice_number, field, reason, message)
),

written as (
    insert into economic.degraded_field (
        agreement_number, invoice_number, field, reason, message, last_sync_id
    )
    select
        %(agreement_number)s,
        report.invoice_number,
        report.field,
        report.reason,
        report.message,
        %(sync_id)s
    from report
    on conflict (agreement_number, invoice_number, field) do update
        set
            reason = excluded.reason,
            message = excluded.message,
            last_seen_at = now(),
            last_sync_id = excluded.last_sync_id,
            resolved_at = null
)

update economic.degraded_field
set resolved_at = now()
where
    agreement_number = %(agreement_number)s
    and resolved_at is null
    and invoice_number = any(%(parsed)s::bigint[])
    and not exists (
        select 1
        from report
        where
            report.invoice_number = degraded_field.invoice_number
            and report.field = degraded_field.field
    );
