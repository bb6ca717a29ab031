-- Takes those of a stretch of a staged page over into invoice whose numbers are not there yet: a
-- first load is nothing but these, and needs no comparing. Each row looks its own number up in the
-- key (`limit 1` keeps it so).
-- Parameters: agreement_number, sync_id, page, first_position, last_position.
-- Returns: one row: counts of staged, same (known again), created, named.
with added as (
    insert into economic.invoice (
        agreement_number,
        invoice_number,
        order_number,
        invoice_date,
        due_date,
        currency,
        exchange_rate,
        net_amount,
        vat_amount,
        gross_amount,
        remainder,
        net_amount_base,
        gross_amount_base,
        remainder_base,
        rounding_amount,
        customer_number,
        customer_name,
        recipient_address,
        recipient_zip,
        recipient_city,
        recipient_country,
        recipient_ean,
        recipient_cvr,
        vat_zone_number,
        subject,
        external_reference,
        employee_number,
        employee_name,
        vendor_employee_number,
        payment_terms_number,
        payment_terms_name,
        payment_terms_type,
        days_of_credit,
        project_number,
        layout_number,
        pdf_url,
        raw_data,
        digest
    )
    select
        %(agreement_number)s,
        staged_invoice.invoice_number,
        staged_invoice.order_number,
        staged_invoice.invoice_date,
        staged_invoice.due_date,
        staged_invoice.currency,
        staged_invoice.exchange_rate,
        staged_invoice.net_amount,
        staged_invoice.vat_amount,
        staged_invoice.gross_amount,
        staged_invoice.remainder,
        staged_invoice.net_amount_base,
        staged_invoice.gross_amount_base,
        staged_invoice.remainder_base,
        staged_invoice.rounding_amount,
        staged_invoice.customer_number,
        staged_invoice.customer_name,
        staged_invoice.recipient_address,
        staged_invoice.recipient_zip,
        staged_invoice.recipient_city,
        staged_invoice.recipient_country,
        staged_invoice.recipient_ean,
        staged_invoice.recipient_cvr,
        staged_invoice.vat_zone_number,
        staged_invoice.subject,
        staged_invoice.external_reference,
        staged_invoice.employee_number,
        (
            select employee.name
            from economic.employee
            where
                employee.agreement_number = %(agreement_number)s
                and employee.employee_number = staged_invoice.employee_number
        ) as employee_name,
        staged_invoice.vendor_employee_number,
        staged_invoice.payment_terms_number,
        staged_invoice.payment_terms_name,
        staged_invoice.payment_terms_type,
        staged_invoice.days_of_credit,
        staged_invoice.project_number,
        staged_invoice.layout_number,
        staged_invoice.pdf_url,
        coalesce(staged_invoice.item, staged_invoice.raw_data::jsonb) as raw_data,
        staged_invoice.digest
    from economic.staged_invoice
    left join lateral (
        select invoice.invoice_number
        from economic.invoice
        where
            invoice.agreement_number = %(agreement_number)s
            and invoice.invoice_number = staged_invoice.invoice_number
        order by invoice.invoice_number
        limit 1
    ) as held on true
    where
        staged_invoice.sync_id = %(sync_id)s
        and staged_invoice.page = %(page)s
        and staged_invoice.position between %(first_position)s and %(last_position)s
        and not staged_invoice.same
        and held.invoice_number is null
    returning employee_name
)

select
    count(*) as staged,
    count(*) filter (where same) as same,
    (select count(*) from added) as created,
    (select count(added.employee_name) from added) as named
from economic.staged_invoice
where
    sync_id = %(sync_id)s
    and page = %(page)s
    and position between %(first_position)s and %(last_position)s;
