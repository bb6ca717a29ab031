-- The tables of the invoice copy: agreements, invoices, employees, syncs with their lease, staging, refused items.
-- Applied once, in order, by `python -m economic migrate` or the first sync.

create schema if not exists economic;

create table economic.schema_version (
    version integer primary key,
    name text not null,
    applied_at timestamptz not null default clock_timestamp()
);

create table economic.agreement (
    agreement_number bigint primary key,
    conn_id text not null unique,
    company_name text,
    base_currency text,
    first_seen_at timestamptz not null default clock_timestamp()
);

create table economic.invoice (
    agreement_number bigint not null references economic.agreement (agreement_number),
    invoice_number bigint not null check (invoice_number > 0),
    order_number bigint,
    invoice_date date,
    due_date date,
    currency text,
    exchange_rate numeric check (exchange_rate <> 'NaN'),
    net_amount numeric not null check (net_amount <> 'NaN'),
    vat_amount numeric check (vat_amount <> 'NaN'),
    gross_amount numeric not null check (gross_amount <> 'NaN'),
    remainder numeric not null check (remainder <> 'NaN'),
    net_amount_base numeric check (net_amount_base <> 'NaN'),
    gross_amount_base numeric check (gross_amount_base <> 'NaN'),
    remainder_base numeric check (remainder_base <> 'NaN'),
    rounding_amount numeric check (rounding_amount <> 'NaN'),
    customer_number bigint,
    customer_name text,
    recipient_address text,
    recipient_zip text,
    recipient_city text,
    recipient_country text,
    recipient_ean text,
    recipient_cvr text,
    vat_zone_number bigint,
    subject text,
    external_reference text,
    employee_number bigint,
    employee_name text,
    vendor_employee_number bigint,
    payment_terms_number bigint,
    payment_terms_name text,
    payment_terms_type text,
    days_of_credit bigint,
    project_number bigint,
    layout_number bigint,
    pdf_url text,
    raw_data jsonb not null,
    first_seen_at timestamptz not null default now(),
    last_changed_at timestamptz not null default now(),
    missing_since timestamptz,
    primary key (agreement_number, invoice_number)
-- room in each page, so that a payment's new row version stays beside the old one and touches no index
) with (fillfactor = 90);

create table economic.employee (
    agreement_number bigint not null references economic.agreement (agreement_number),
    employee_number bigint not null,
    name text,
    unknown boolean not null default false,
    fetched_at timestamptz not null,
    primary key (agreement_number, employee_number)
);

create table economic.sync_run (
    sync_id bigint generated always as identity primary key,
    dag_id text not null,
    run_id text not null,
    run_type text not null,
    conn_id text not null,
    agreement_number bigint,
    scope text not null check (scope in ('full', 'range')),
    date_from date,
    date_to date,
    force boolean not null,
    phase text not null default 'begin'
    check (phase in ('begin', 'waiting', 'fetch', 'upsert', 'names', 'ended')),
    status text not null default 'running'
    check (
        status in (
            'running', 'completed', 'completed_with_errors', 'failed', 'skipped', 'superseded', 'abandoned'
        )
    ),
    percentage numeric(4, 1) not null default 0 check (percentage between 0 and 100),
    current bigint not null default 0,
    total bigint,
    message text not null default '',
    started_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    finished_at timestamptz,
    scan_number integer not null default 1,
    scan_cursor bigint,
    scan_seen bigint not null default 0,
    scan_drifted boolean not null default false,
    staged_rows integer[] not null default '{}',
    stored_pages integer not null default 0,
    booked_count bigint,
    totals jsonb,
    complete boolean not null default false,
    reconciled boolean,
    verdict text,
    statistics jsonb not null default '{}',
    check ((status = 'running') = (finished_at is null))
);

create index sync_run_of_dag_run on economic.sync_run (dag_id, run_id, sync_id desc);

create index sync_run_open on economic.sync_run (conn_id) where status = 'running';

create table economic.sync_lease (
    agreement_number bigint primary key references economic.agreement (agreement_number),
    token bigint not null default 0,
    holder bigint references economic.sync_run (sync_id),
    attempt text,
    acquired_at timestamptz,
    heartbeat_at timestamptz,
    expires_at timestamptz,
    check ((holder is null) = (expires_at is null))
);

create unlogged table economic.staged_invoice (
    sync_id bigint not null,
    page integer not null,
    position integer not null,
    invoice_number bigint not null,
    order_number bigint,
    invoice_date date,
    due_date date,
    currency text,
    exchange_rate numeric,
    net_amount numeric,
    vat_amount numeric,
    gross_amount numeric,
    remainder numeric,
    net_amount_base numeric,
    gross_amount_base numeric,
    remainder_base numeric,
    rounding_amount numeric,
    customer_number bigint,
    customer_name text,
    recipient_address text,
    recipient_zip text,
    recipient_city text,
    recipient_country text,
    recipient_ean text,
    recipient_cvr text,
    vat_zone_number bigint,
    subject text,
    external_reference text,
    employee_number bigint,
    vendor_employee_number bigint,
    payment_terms_number bigint,
    payment_terms_name text,
    payment_terms_type text,
    days_of_credit bigint,
    project_number bigint,
    layout_number bigint,
    pdf_url text,
    raw_data text not null,
    primary key (sync_id, page, position)
);

create table economic.rejected_invoice (
    agreement_number bigint not null references economic.agreement (agreement_number),
    item_key text not null,
    invoice_number bigint,
    field text not null,
    reason text not null,
    message text not null,
    raw_data text not null,
    first_seen_at timestamptz not null default now(),
    last_seen_at timestamptz not null default now(),
    seen_count bigint not null default 1,
    last_sync_id bigint not null,
    resolved_at timestamptz,
    primary key (agreement_number, item_key)
);

create index rejected_invoice_open on economic.rejected_invoice (agreement_number, invoice_number)
where resolved_at is null;
