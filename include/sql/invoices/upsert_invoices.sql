-- Stores a range of a staged page in invoice: new and differing rows are written, equal ones are
-- not touched, and unchanged ones are not compared. Values are compared, not spellings. Changes,
-- and since when a returned invoice was missing, are recorded in invoice_history. Each row looks
-- its own number up in the key (`limit 1` keeps it so): staging has no reliable statistics, and the
-- planner was seen to choose joins that compare every row with every other one, or read the whole
-- table for every page. The employee's name comes from the stored list; without one there, an
-- invoice keeps its name while its employee's number stays.
-- Parameters: agreement_number, sync_id, page, first_position, last_position.
-- Returns: one row: counts of written, created, updated, raw_changed (only the raw
-- item differed), returned (missing until now) and named (with a name that they did not have).
with incoming as (
    select  -- noqa: LT09
        invoice_number, order_number, invoice_date, due_date, currency, exchange_rate,
        economic.with_cents(net_amount) as net_amount,
        economic.with_cents(vat_amount) as vat_amount,
        economic.with_cents(gross_amount) as gross_amount,
        economic.with_cents(remainder) as remainder,
        economic.with_cents(net_amount_base) as net_amount_base,
        economic.with_cents(gross_amount_base) as gross_amount_base,
        economic.with_cents(remainder_base) as remainder_base,
        economic.with_cents(rounding_amount) as rounding_amount,
        customer_number, customer_name, recipient_address, recipient_zip,
        recipient_city, recipient_country, recipient_ean, recipient_cvr, vat_zone_number, subject,
        external_reference, employee_number, vendor_employee_number, payment_terms_number,
        payment_terms_name, payment_terms_type, days_of_credit, project_number, layout_number,
        pdf_url,
        raw_data::jsonb as raw_data,
        digest,
        (
            select employee.name
            from economic.employee
            where
                employee.agreement_number = %(agreement_number)s
                and employee.employee_number = staged_invoice.employee_number
        ) as listed_name
    from economic.staged_invoice
    where
        sync_id = %(sync_id)s
        and page = %(page)s
        and position between %(first_position)s and %(last_position)s
        and not same
    -- `offset` keeps this a step of its own, so that each text becomes jsonb once
    order by position offset 0
),

compared as (
    select
        incoming.*,
        coalesce(
            incoming.listed_name,
            case when held.employee_number = incoming.employee_number then held.employee_name end
        ) as employee_name,
        held.employee_name as held_name,
        (held.invoice_number is null) as is_new,
        (
            held.invoice_number is not null and (
                held.order_number, held.invoice_date, held.due_date, held.currency,
                held.exchange_rate, held.net_amount, held.vat_amount, held.gross_amount,
                held.remainder, held.net_amount_base, held.gross_amount_base, held.remainder_base,
                held.rounding_amount, held.customer_number, held.customer_name,
                held.recipient_address, held.recipient_zip, held.recipient_city,
                held.recipient_country, held.recipient_ean, held.recipient_cvr,
                held.vat_zone_number, held.subject, held.external_reference, held.employee_number,
                held.vendor_employee_number, held.payment_terms_number, held.payment_terms_name,
                held.payment_terms_type, held.days_of_credit, held.project_number,
                held.layout_number, held.pdf_url
            ) is distinct from (
                incoming.order_number, incoming.invoice_date, incoming.due_date, incoming.currency,
                incoming.exchange_rate, incoming.net_amount, incoming.vat_amount,
                incoming.gross_amount, incoming.remainder, incoming.net_amount_base,
                incoming.gross_amount_base, incoming.remainder_base, incoming.rounding_amount,
                incoming.customer_number, incoming.customer_name, incoming.recipient_address,
                incoming.recipient_zip, incoming.recipient_city, incoming.recipient_country,
                incoming.recipient_ean, incoming.recipient_cvr, incoming.vat_zone_number,
                incoming.subject, incoming.external_reference, incoming.employee_number,
                incoming.vendor_employee_number, incoming.payment_terms_number,
                incoming.payment_terms_name, incoming.payment_terms_type, incoming.days_of_credit,
                incoming.project_number, incoming.layout_number, incoming.pdf_url
            )
        ) as is_changed,
        (held.raw_data is distinct from incoming.raw_data) as is_raw_changed,
        (held.missing_since is not null) as was_missing,
        (least(held.remainder, incoming.remainder) < 0) as was_below_zero,
        null::timestamptz as missing_since,
        (held.digest is distinct from incoming.digest) as is_respelled
    from incoming
    left join lateral (
        select invoice.*
        from economic.invoice
        where
            invoice.agreement_number = %(agreement_number)s
            and invoice.invoice_number = incoming.invoice_number
        order by invoice.invoice_number
        limit 1
    ) as held on true
),

differing as materialized (
    select *
    from compared
    -- equal values in another spelling: with the new digest the invoice is recognised next time
    where is_new or is_changed or is_raw_changed or was_missing or is_respelled
),

written as (
    insert into economic.invoice as held (
        agreement_number, invoice_number, order_number, invoice_date, due_date, currency,
        exchange_rate, net_amount, vat_amount, gross_amount, remainder, net_amount_base,
        gross_amount_base, remainder_base, rounding_amount, customer_number, customer_name,
        recipient_address, recipient_zip, recipient_city, recipient_country, recipient_ean,
        recipient_cvr, vat_zone_number, subject, external_reference, employee_number, employee_name,
        vendor_employee_number, payment_terms_number, payment_terms_name, payment_terms_type,
        days_of_credit, project_number, layout_number, pdf_url, raw_data, digest
    )
    select  -- noqa: LT09
        %(agreement_number)s, invoice_number, order_number, invoice_date, due_date, currency,
        exchange_rate, net_amount, vat_amount, gross_amount, remainder, net_amount_base,
        gross_amount_base, remainder_base, rounding_amount, customer_number, customer_name,
        recipient_address, recipient_zip, recipient_city, recipient_country, recipient_ean,
        recipient_cvr, vat_zone_number, subject, external_reference, employee_number, employee_name,
        vendor_employee_number, payment_terms_number, payment_terms_name, payment_terms_type,
        days_of_credit, project_number, layout_number, pdf_url, raw_data, digest
    from differing
    on conflict (agreement_number, invoice_number) do update
        set
            (
                order_number, invoice_date, due_date, currency, exchange_rate, net_amount,
                vat_amount, gross_amount, remainder, net_amount_base, gross_amount_base,
                remainder_base, rounding_amount, customer_number, customer_name, recipient_address,
                recipient_zip, recipient_city, recipient_country, recipient_ean, recipient_cvr,
                vat_zone_number, subject, external_reference, employee_number, employee_name,
                vendor_employee_number, payment_terms_number, payment_terms_name,
                payment_terms_type, days_of_credit, project_number, layout_number, pdf_url,
                raw_data, digest
            ) = (
                excluded.order_number, excluded.invoice_date, excluded.due_date, excluded.currency,
                excluded.exchange_rate, excluded.net_amount, excluded.vat_amount,
                excluded.gross_amount, excluded.remainder, excluded.net_amount_base,
                excluded.gross_amount_base, excluded.remainder_base, excluded.rounding_amount,
                excluded.customer_number, excluded.customer_name, excluded.recipient_address,
                excluded.recipient_zip, excluded.recipient_city, excluded.recipient_country,
                excluded.recipient_ean, excluded.recipient_cvr, excluded.vat_zone_number,
                excluded.subject, excluded.external_reference, excluded.employee_number,
                excluded.employee_name, excluded.vendor_employee_number,
                excluded.payment_terms_number, excluded.payment_terms_name,
                excluded.payment_terms_type, excluded.days_of_credit, excluded.project_number,
                excluded.layout_number, excluded.pdf_url, excluded.raw_data, excluded.digest
            ),
            last_changed_at = case
                when
                    held.invoice_number in (
                        select differing.invoice_number from differing
                        where differing.is_changed
                    )
                    then now()
                else held.last_changed_at
            end,
            missing_since = null
    returning held.invoice_number
),

-- The last syncs that saw every invoice. A quick one may not see what is below zero.
proven as (
    select
        (
            select coalesce(scan_started_at, started_at)
            from economic.sync_run
            where
                agreement_number = %(agreement_number)s
                and sync_id < %(sync_id)s
                and scope in ('full', 'quick')
                and complete
                and status in ('completed', 'completed_with_errors')
            order by sync_id desc
            limit 1
        ) as began_at,
        (
            select coalesce(scan_started_at, started_at)
            from economic.sync_run
            where
                agreement_number = %(agreement_number)s
                and sync_id < %(sync_id)s
                and scope = 'full'
                and not quiet
                and complete
                and status in ('completed', 'completed_with_errors')
            order by sync_id desc
            limit 1
        ) as full_began_at
),

noted as (
    insert into economic.invoice_history (
        agreement_number, invoice_number, old_values_since, happened_after, sync_id, old_values,
        new_values
    )
    select
        %(agreement_number)s,
        differing.invoice_number,
        min(held.last_changed_at) as old_values_since,
        case
            when differing.was_missing or exists (
                select true
                from economic.rejected_invoice
                where
                    rejected_invoice.agreement_number = %(agreement_number)s
                    and rejected_invoice.invoice_number = differing.invoice_number
                    and rejected_invoice.resolved_at is null
            ) then null
            when differing.was_below_zero then (select proven.full_began_at from proven)
            else (select proven.began_at from proven)
        end as happened_after,
        %(sync_id)s,
        jsonb_object_agg(before.key, before.value) as old_values,
        jsonb_object_agg(before.key, after.value) as new_values
    from differing
    inner join written on differing.invoice_number = written.invoice_number
    inner join lateral (
        select invoice.*
        from economic.invoice
        where
            invoice.agreement_number = %(agreement_number)s
            and invoice.invoice_number = differing.invoice_number
        order by invoice.invoice_number
        limit 1
    ) as held on true
    cross join lateral jsonb_each(to_jsonb(held)) as before (key, value)
    inner join lateral jsonb_each(to_jsonb(differing)) as after (key, value) on before.key = after.key
    where
        (differing.is_changed or differing.was_missing)
        and before.key not in ('raw_data', 'digest', 'employee_name')
        and before.value is distinct from after.value
    group by differing.invoice_number, differing.was_missing, differing.was_below_zero
)

select
    (select count(*) from written) as written,
    count(*) filter (where differing.is_new) as created,
    count(*) filter (where differing.is_changed) as updated,
    count(*) filter (
        where not differing.is_new and not differing.is_changed and differing.is_raw_changed
    ) as raw_changed,
    count(*) filter (where differing.was_missing) as returned,
    count(*) filter (where differing.employee_name <> coalesce(differing.held_name, '')) as named
from differing;
