-- Columns the statements rely on that are not there or are of another type. Columns that somebody added do no harm.
-- Returns: one row a column: column_name (with its table), expected and found type (null: it is not there).
select
    needed.relation || '.' || needed.attribute as column_name,
    needed.type as expected,
    format_type(attribute.atttypid, attribute.atttypmod) as found
from (
    select
        listed.relation,
        listed.type,
        unnest(listed.attributes) as attribute
    from (
        values
        ('agreement', 'bigint', array['agreement_number']),
        ('agreement', 'text', array['conn_id', 'company_name', 'base_currency']),
        ('agreement', 'timestamp with time zone', array['first_seen_at']),
        ('degraded_field', 'bigint', array['agreement_number', 'invoice_number', 'last_sync_id']),
        ('degraded_field', 'text', array['field', 'reason', 'message']),
        ('degraded_field', 'timestamp with time zone', array['first_seen_at', 'last_seen_at', 'resolved_at']),
        ('employee', 'bigint', array['agreement_number', 'employee_number']),
        ('employee', 'boolean', array['unknown']),
        ('employee', 'text', array['name']),
        ('employee', 'timestamp with time zone', array['fetched_at']),
        (
            'invoice',
            'bigint',
            array[
                'agreement_number', 'invoice_number', 'order_number', 'customer_number', 'vat_zone_number',
                'employee_number', 'vendor_employee_number', 'payment_terms_number', 'days_of_credit', 'project_number',
                'layout_number'
            ]
        ),
        ('invoice', 'bytea', array['digest']),
        ('invoice', 'date', array['invoice_date', 'due_date']),
        ('invoice', 'jsonb', array['raw_data']),
        (
            'invoice',
            'numeric',
            array[
                'exchange_rate', 'net_amount', 'vat_amount', 'gross_amount', 'remainder', 'net_amount_base',
                'gross_amount_base', 'remainder_base', 'rounding_amount'
            ]
        ),
        (
            'invoice',
            'text',
            array[
                'currency', 'customer_name', 'recipient_address', 'recipient_zip', 'recipient_city',
                'recipient_country', 'recipient_ean', 'recipient_cvr', 'subject', 'external_reference',
                'employee_name', 'payment_terms_name', 'payment_terms_type', 'pdf_url'
            ]
        ),
        ('invoice', 'timestamp with time zone', array['first_seen_at', 'last_changed_at', 'missing_since']),
        ('invoice_history', 'bigint', array['change_id', 'agreement_number', 'invoice_number', 'sync_id']),
        ('invoice_history', 'jsonb', array['old_values', 'new_values']),
        ('invoice_history', 'timestamp with time zone', array['changed_at']),
        ('rejected_invoice', 'bigint', array['agreement_number', 'invoice_number', 'seen_count', 'last_sync_id']),
        ('rejected_invoice', 'text', array['item_key', 'field', 'reason', 'message', 'raw_data']),
        ('rejected_invoice', 'timestamp with time zone', array['first_seen_at', 'last_seen_at', 'resolved_at']),
        ('schema_version', 'integer', array['version']),
        ('schema_version', 'text', array['name']),
        ('schema_version', 'timestamp with time zone', array['applied_at']),
        (
            'staged_invoice',
            'bigint',
            array[
                'sync_id', 'invoice_number', 'order_number', 'customer_number', 'vat_zone_number', 'employee_number',
                'vendor_employee_number', 'payment_terms_number', 'days_of_credit', 'project_number', 'layout_number'
            ]
        ),
        ('staged_invoice', 'boolean', array['same']),
        ('staged_invoice', 'bytea', array['digest']),
        ('staged_invoice', 'date', array['invoice_date', 'due_date']),
        ('staged_invoice', 'integer', array['page', 'position']),
        ('staged_invoice', 'jsonb', array['item']),
        (
            'staged_invoice',
            'numeric',
            array[
                'exchange_rate', 'net_amount', 'vat_amount', 'gross_amount', 'remainder', 'net_amount_base',
                'gross_amount_base', 'remainder_base', 'rounding_amount'
            ]
        ),
        (
            'staged_invoice',
            'text',
            array[
                'currency', 'customer_name', 'recipient_address', 'recipient_zip', 'recipient_city',
                'recipient_country', 'recipient_ean', 'recipient_cvr', 'subject', 'external_reference',
                'payment_terms_name', 'payment_terms_type', 'pdf_url', 'raw_data'
            ]
        ),
        ('sync_lease', 'bigint', array['agreement_number', 'token', 'holder']),
        ('sync_lease', 'text', array['attempt']),
        ('sync_lease', 'timestamp with time zone', array['acquired_at', 'heartbeat_at', 'expires_at']),
        (
            'sync_run',
            'bigint',
            array['sync_id', 'agreement_number', 'current', 'total', 'scan_cursor', 'scan_seen', 'booked_count']
        ),
        ('sync_run', 'boolean', array['force', 'accept_missing', 'scan_drifted', 'complete', 'reconciled']),
        ('sync_run', 'date', array['date_from', 'date_to']),
        ('sync_run', 'integer', array['clear_number', 'scan_number', 'stored_pages']),
        ('sync_run', 'integer[]', array['staged_rows']),
        ('sync_run', 'jsonb', array['totals', 'statistics', 'held']),
        ('sync_run', 'numeric(4,1)', array['percentage']),
        (
            'sync_run',
            'text',
            array[
                'dag_id', 'run_id', 'run_key', 'run_type', 'conn_id', 'scope', 'phase', 'status', 'message',
                'verdict', 'warning'
            ]
        ),
        (
            'sync_run',
            'timestamp with time zone',
            array['started_at', 'updated_at', 'finished_at', 'scan_started_at', 'scan_advanced_at', 'announced_at']
        )
    ) as listed (relation, type, attributes)
) as needed
left join pg_namespace as namespace on namespace.nspname = 'economic'
left join pg_class as class
    on namespace.oid = class.relnamespace and needed.relation = class.relname and class.relkind in ('r', 'p')
left join pg_attribute as attribute
    on
        class.oid = attribute.attrelid and needed.attribute = attribute.attname
        and attribute.attnum > 0 and not attribute.attisdropped
where format_type(attribute.atttypid, attribute.atttypmod) is distinct from needed.type
order by column_name;
