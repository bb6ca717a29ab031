-- The tables of the invoice copy, the views that people read, and what every column means.
-- Applied once, by `python -m economic migrate` or the first sync.

-- Accept a schema that the database's owner has created and given away:
-- `create schema if not exists` needs the right to create one, even when it exists.
do $$
begin
    if not exists (select 1 from pg_namespace where nspname = 'economic') then
        create schema economic;
        comment on schema economic is
        'The PostgreSQL copy of booked e-conomic invoices, kept by airflow-provider-economic.';
    end if;
end
$$;

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
    first_seen_at timestamptz not null default clock_timestamp(),
    complete_since timestamptz
);

create table economic.invoice (
    agreement_number bigint not null references economic.agreement (agreement_number),
    invoice_number bigint not null check (invoice_number > 0),
    order_number bigint,
    invoice_date date,
    due_date date,
    currency text,
    exchange_rate numeric check (exchange_rate > '-Infinity' and exchange_rate < 'Infinity'),
    net_amount numeric not null check (net_amount > '-Infinity' and net_amount < 'Infinity'),
    vat_amount numeric check (vat_amount > '-Infinity' and vat_amount < 'Infinity'),
    gross_amount numeric not null check (gross_amount > '-Infinity' and gross_amount < 'Infinity'),
    remainder numeric not null check (remainder > '-Infinity' and remainder < 'Infinity'),
    net_amount_base numeric check (net_amount_base > '-Infinity' and net_amount_base < 'Infinity'),
    gross_amount_base numeric check (gross_amount_base > '-Infinity' and gross_amount_base < 'Infinity'),
    remainder_base numeric check (remainder_base > '-Infinity' and remainder_base < 'Infinity'),
    rounding_amount numeric check (rounding_amount > '-Infinity' and rounding_amount < 'Infinity'),
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
    digest bytea,
    primary key (agreement_number, invoice_number)
-- Keeps a fifth of each page free. The new row version of a payment (about 2 kB) then fits beside
-- the old one, and no index changes.
) with (fillfactor = 80);

create index invoice_open on economic.invoice (agreement_number, invoice_number)
where remainder <> 0;

create index invoice_of_employee on economic.invoice (agreement_number, employee_number)
where employee_number is not null;

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
    run_key text not null default '',
    clear_number integer not null default 0,
    run_type text not null,
    conn_id text not null,
    agreement_number bigint,
    scope text not null check (scope in ('full', 'range', 'quick')),
    date_from date,
    date_to date,
    force boolean not null,
    accept_missing boolean not null default false,
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
    scan_started_at timestamptz,
    scan_advanced_at timestamptz,
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
    warning text,
    statistics jsonb not null default '{}',
    held jsonb,
    announced_at timestamptz,
    quiet boolean not null generated always as (
        scope = 'quick'
        and status in ('completed', 'skipped')
        and not coalesce(
            statistics
            @@ '$.created > 0 || $.updated > 0 || $.returned > 0 || $.missing > 0 || $.invoices_named > 0',
            false
        )
    ) stored,
    check ((status = 'running') = (finished_at is null))
);

create index sync_run_of_dag_run on economic.sync_run (dag_id, run_id, sync_id desc);

create index sync_run_of_agreement on economic.sync_run (agreement_number, sync_id desc);

-- Without a full sync nothing deletes the quiet rows: half a million a year at one a minute.
create index sync_run_loud on economic.sync_run (agreement_number, sync_id desc) where not quiet;

create index sync_run_open on economic.sync_run (conn_id) where status = 'running';

create table economic.sync_lease (
    agreement_number bigint primary key references economic.agreement (agreement_number),
    token bigint not null default 0,
    holder bigint references economic.sync_run (sync_id),
    attempt text,
    acquired_at timestamptz,
    heartbeat_at timestamptz,
    expires_at timestamptz,
    proven_token bigint,
    proven_sync_id bigint,
    check ((holder is null) = (expires_at is null))
);

create unlogged table economic.staged_invoice (
    sync_id bigint not null,
    page integer not null,
    position integer not null,
    like economic.invoice,
    same boolean not null default false,
    primary key (sync_id, page, position)
);

-- Staged are the values of an item, as its text, or the number alone of an unchanged invoice.
alter table economic.staged_invoice
drop column agreement_number,
drop column employee_name,
drop column first_seen_at,
drop column last_changed_at,
drop column missing_since,
alter column net_amount drop not null,
alter column gross_amount drop not null,
alter column remainder drop not null,
alter column raw_data type text,
alter column raw_data set default '';

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

create table economic.degraded_field (
    agreement_number bigint not null references economic.agreement (agreement_number),
    invoice_number bigint not null,
    field text not null,
    reason text not null,
    message text not null,
    first_seen_at timestamptz not null default now(),
    last_seen_at timestamptz not null default now(),
    last_sync_id bigint not null,
    resolved_at timestamptz,
    primary key (agreement_number, invoice_number, field)
);

create index degraded_field_open on economic.degraded_field (agreement_number, invoice_number)
where resolved_at is null;

create table economic.invoice_history (
    change_id bigint generated always as identity primary key,
    agreement_number bigint not null,
    invoice_number bigint not null,
    changed_at timestamptz not null default now(),
    old_values_since timestamptz not null default '-infinity',
    happened_after timestamptz,
    sync_id bigint not null,
    old_values jsonb not null,
    new_values jsonb not null
);

create index invoice_history_of_invoice on economic.invoice_history (agreement_number, invoice_number, change_id);

-- For what was owed at the end of a day: of the changes after it only those whose old values were
-- held that day, at most a few for an invoice. The others are passed over within the index.
create index invoice_history_of_time on economic.invoice_history (agreement_number, changed_at, old_values_since);

-- The values of several records as one: the last one that has a key wins.
create aggregate economic.merge_jsonb (jsonb)(
    sfunc = jsonb_concat,
    stype = jsonb
);

create function economic.in_base(amount numeric, currency text, base_currency text, exchange_rate numeric)
returns numeric
language sql immutable parallel safe
return round(amount * case when currency = base_currency then 100 else exchange_rate end / 100, 2);

create function economic.with_cents(amount numeric) returns numeric
language sql immutable parallel safe
return round(amount, greatest(min_scale(amount), 2));

-- Clears the digest when a value changes without it, so that the next sync reads the invoice again
-- and corrects it. A change of the columns that no item holds leaves it.
create function economic.forget_digest() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    expected economic.invoice := old;
begin
    expected.employee_name := new.employee_name;
    expected.first_seen_at := new.first_seen_at;
    expected.last_changed_at := new.last_changed_at;
    expected.missing_since := new.missing_since;
    if new is distinct from expected then
        new.digest := null;
    end if;
    return new;
end
$$;

create trigger forget_digest before update on economic.invoice
for each row when (new.digest is not distinct from old.digest)
execute function economic.forget_digest();

create view economic.sync_status as
select
    agreement.agreement_number,
    agreement.company_name,
    agreement.base_currency,
    agreement.conn_id,
    coalesce(success.scan_started_at, success.started_at) as last_synced_at,
    coalesce(full_scan.scan_started_at, full_scan.started_at) as last_full_scan_at,
    success.sync_id as success_sync_id,
    success.status as success_status,
    success.complete,
    success.reconciled,
    case when reader.sees_sums then success.verdict end as verdict,
    success.warning,
    (success.totals ->> 'invoice_count')::bigint as booked,
    case when reader.sees_sums then (success.totals ->> 'net_amount_base')::numeric end as booked_net,
    last_run.sync_id as last_sync_id,
    last_run.dag_id as last_dag_id,
    last_run.run_id as last_run_id,
    last_run.run_type as last_run_type,
    last_run.force as last_force,
    last_run.scope as last_scope,
    last_run.date_from as last_date_from,
    last_run.date_to as last_date_to,
    last_run.status as last_status,
    last_run.phase as last_phase,
    last_run.percentage as last_percentage,
    last_run.current as last_current,
    last_run.total as last_total,
    last_run.message as last_message,
    last_run.started_at as last_started_at,
    last_run.updated_at as last_updated_at,
    last_run.finished_at as last_finished_at,
    coalesce(last_run.status = 'running', false) as running,
    coalesce(
        last_run.status = 'running'
        and last_run.phase <> 'waiting'
        and case
            when lease.holder = last_run.sync_id then lease.expires_at < clock_timestamp()
            else last_run.updated_at < clock_timestamp() - interval '5 minutes'
        end,
        false
    ) as stalled,
    held.sync_id as held_sync_id,
    case
        when reader.sees_sums then held.held
        else held.held - array['net_amount_base', 'remainder_base', 'overdue_base']
    end as held,
    (held.held ->> 'invoice_count')::bigint as invoices,
    (held.held ->> 'missing_count')::bigint as missing,
    (
        select count(*)
        from economic.rejected_invoice
        where rejected_invoice.agreement_number = agreement.agreement_number and rejected_invoice.resolved_at is null
    ) as rejected,
    (
        select count(distinct degraded_field.invoice_number)
        from economic.degraded_field
        where
            degraded_field.agreement_number = agreement.agreement_number
            and degraded_field.resolved_at is null
    ) as degraded,
    agreement.complete_since
from economic.agreement
left join lateral (
    select sync_run.*
    from economic.sync_run
    where sync_run.agreement_number = agreement.agreement_number
    order by sync_run.sync_id desc
    limit 1
) as last_run on true
left join lateral (
    select sync_run.*
    from economic.sync_run
    where
        sync_run.agreement_number = agreement.agreement_number
        and (sync_run.scope = 'full' or (sync_run.scope = 'quick' and sync_run.complete))
        and sync_run.status in ('completed', 'completed_with_errors')
    order by sync_run.sync_id desc
    limit 1
) as success on true
left join lateral (
    select
        sync_run.scan_started_at,
        sync_run.started_at
    from economic.sync_run
    where
        sync_run.agreement_number = agreement.agreement_number
        and sync_run.scope = 'full'
        and not sync_run.quiet
        and sync_run.status in ('completed', 'completed_with_errors')
    order by sync_run.sync_id desc
    limit 1
) as full_scan on true
left join lateral (
    select
        sync_run.sync_id,
        sync_run.held
    from economic.sync_run
    where
        sync_run.agreement_number = agreement.agreement_number
        and sync_run.held is not null
        and not sync_run.quiet
    order by sync_run.sync_id desc
    limit 1
) as held on true
left join economic.sync_lease as lease on agreement.agreement_number = lease.agreement_number
-- A view reads with its owner's rights. Show sums only to roles that can read them elsewhere too.
cross join (
    values (
        has_column_privilege('economic.sync_run', 'held', 'select')
        or has_any_column_privilege(to_regclass('economic.invoice_overview'), 'select')
    )
) as reader (sees_sums);

create view economic.invoice_overview as
with today as (
    select (now() at time zone 'Europe/Copenhagen')::date as day
)

select
    invoice.agreement_number,
    invoice.invoice_number,
    invoice.order_number,
    invoice.invoice_date,
    invoice.due_date,
    case
        when invoice.remainder = 0 then 'settled'
        when invoice.remainder < 0 then 'credit'
        when invoice.due_date < today.day then 'overdue'
        else 'open'
    end as status,
    case
        when invoice.remainder > 0 and invoice.due_date < today.day then today.day - invoice.due_date
    end as days_overdue,
    (invoice.gross_amount < 0) as is_credit_note,
    invoice.currency,
    invoice.exchange_rate,
    invoice.net_amount,
    invoice.vat_amount,
    invoice.gross_amount,
    invoice.remainder,
    company.base_currency,
    invoice.net_amount_base,
    invoice.gross_amount_base,
    invoice.remainder_base,
    invoice.customer_number,
    invoice.customer_name,
    invoice.recipient_zip,
    invoice.recipient_city,
    invoice.recipient_country,
    invoice.recipient_ean,
    invoice.recipient_cvr,
    invoice.subject,
    invoice.external_reference,
    invoice.employee_number,
    invoice.employee_name,
    invoice.payment_terms_name,
    invoice.days_of_credit,
    invoice.project_number,
    invoice.pdf_url,
    invoice.first_seen_at,
    invoice.last_changed_at,
    invoice.missing_since,
    company.last_synced_at
from economic.invoice
cross join today
left join economic.sync_status as company on invoice.agreement_number = company.agreement_number;

create view economic.payments as
with delta as not materialized (
    select
        history.*,
        coalesce(
            (history.old_values ->> 'remainder')::numeric - (history.new_values ->> 'remainder')::numeric, 0
        ) as decrease,
        coalesce(
            (history.new_values ->> 'gross_amount')::numeric - (history.old_values ->> 'gross_amount')::numeric, 0
        ) as correction
    from economic.invoice_history as history
    where history.new_values ?| array['remainder', 'gross_amount']
),

change as not materialized (
    select
        delta.agreement_number,
        delta.invoice_number,
        delta.changed_at as seen_at,
        -- What is paid is gross minus remainder, and grows with either.
        delta.decrease + delta.correction as amount,
        coalesce(
            (delta.old_values ->> 'remainder_base')::numeric - (delta.new_values ->> 'remainder_base')::numeric,
            economic.in_base(delta.decrease, invoice.currency, agreement.base_currency, invoice.exchange_rate)
        ) + coalesce(
            (delta.new_values ->> 'gross_amount_base')::numeric - (delta.old_values ->> 'gross_amount_base')::numeric,
            economic.in_base(delta.correction, invoice.currency, agreement.base_currency, invoice.exchange_rate),
            case when delta.correction = 0 then 0 end
        ) as amount_base,
        delta.decrease,
        (delta.new_values ->> 'remainder')::numeric as remainder_after,
        delta.sync_id,
        delta.happened_after
    from delta
    inner join economic.invoice
        on
            delta.agreement_number = invoice.agreement_number
            and delta.invoice_number = invoice.invoice_number
    inner join economic.agreement on delta.agreement_number = agreement.agreement_number
),

seen as not materialized (
    select
        change.agreement_number,
        change.invoice_number,
        count(*) as changes,
        count(change.amount_base) as converted,
        sum(change.amount) as amount,
        sum(change.amount_base) as amount_base,
        sum(change.decrease) as decrease
    from change
    group by change.agreement_number, change.invoice_number
),

-- The first remainder and gross amount follow from the present ones: the sums add up whatever came.
opening as not materialized (
    select
        invoice.agreement_number,
        invoice.invoice_number,
        invoice.first_seen_at as seen_at,
        invoice.gross_amount - invoice.remainder - coalesce(seen.amount, 0) as amount,
        coalesce(
            invoice.gross_amount_base - invoice.remainder_base,
            economic.in_base(
                invoice.gross_amount - invoice.remainder,
                invoice.currency, agreement.base_currency, invoice.exchange_rate
            )
        ) - case when seen.changes is null then 0 when seen.changes = seen.converted then seen.amount_base end
            as amount_base,
        invoice.remainder + coalesce(seen.decrease, 0) as remainder_after
    from economic.invoice
    inner join economic.agreement on invoice.agreement_number = agreement.agreement_number
    left join seen
        on
            invoice.agreement_number = seen.agreement_number
            and invoice.invoice_number = seen.invoice_number
),

payment as (
    select
        change.agreement_number,
        change.invoice_number,
        change.seen_at,
        change.amount,
        change.amount_base,
        change.remainder_after,
        change.sync_id,
        change.happened_after,
        false as is_opening
    from change
    union all
    select
        opening.agreement_number,
        opening.invoice_number,
        opening.seen_at,
        opening.amount,
        opening.amount_base,
        opening.remainder_after,
        null as sync_id,
        null as happened_after,
        true as is_opening
    from opening
)

select
    payment.agreement_number,
    payment.invoice_number,
    payment.seen_at,
    payment.amount,
    invoice.currency,
    payment.amount_base,
    payment.remainder_after,
    invoice.customer_number,
    invoice.customer_name,
    payment.sync_id,
    payment.happened_after as earliest_at,
    case
        when payment.is_opening then 'already paid when first seen'
        when invoice.gross_amount < 0 and payment.amount < 0 then 'credit used'
        when invoice.gross_amount < 0 then 'credit taken back'
        when payment.amount > 0 then 'paid'
        else 'taken back'
    end as kind
from payment
inner join economic.invoice
    on
        payment.agreement_number = invoice.agreement_number
        and payment.invoice_number = invoice.invoice_number
where payment.amount <> 0;

create view economic.customers as
with latest as (
    select
        invoice.agreement_number,
        -- 0 for no customer, so that PostgreSQL can use a hash join
        coalesce(invoice.customer_number, 0) as customer_key,
        max(invoice.invoice_number) as invoice_number
    from economic.invoice
    where invoice.customer_name is not null and invoice.missing_since is null
    group by invoice.agreement_number, coalesce(invoice.customer_number, 0)
)

select
    latest.agreement_number,
    named.customer_number,
    named.customer_name
from latest
inner join economic.invoice as named
    on
        latest.agreement_number = named.agreement_number
        and latest.invoice_number = named.invoice_number;

create view economic.receivables as
select
    overview.agreement_number,
    overview.invoice_number,
    overview.invoice_date,
    overview.due_date,
    overview.days_overdue,
    overview.customer_number,
    overview.customer_name,
    overview.employee_number,
    overview.employee_name,
    overview.external_reference,
    overview.currency,
    overview.gross_amount,
    overview.remainder,
    overview.base_currency,
    coalesce(
        overview.remainder_base,
        economic.in_base(overview.remainder, overview.currency, overview.base_currency, overview.exchange_rate)
    ) as remainder_base
from economic.invoice_overview as overview
where overview.remainder <> 0 and overview.missing_since is null;

create view economic.receivables_aging as
select
    owed.agreement_number,
    owed.customer_number,
    max(customers.customer_name) as customer_name,
    owed.currency,
    count(*) as invoices,
    sum(owed.remainder) as remainder,
    coalesce(sum(owed.remainder) filter (where owed.days_overdue is null and owed.remainder > 0), 0.00) as not_due,
    coalesce(sum(owed.remainder) filter (where owed.days_overdue between 1 and 30), 0.00) as overdue_1_to_30,
    coalesce(sum(owed.remainder) filter (where owed.days_overdue between 31 and 60), 0.00) as overdue_31_to_60,
    coalesce(sum(owed.remainder) filter (where owed.days_overdue between 61 and 90), 0.00) as overdue_61_to_90,
    coalesce(sum(owed.remainder) filter (where owed.days_overdue > 90), 0.00) as overdue_over_90,
    coalesce(sum(owed.remainder) filter (where owed.remainder < 0), 0.00) as credit,
    sum(owed.remainder_base) as remainder_base
from economic.receivables as owed
left join economic.customers
    on
        owed.agreement_number = customers.agreement_number
        and coalesce(owed.customer_number, 0) = coalesce(customers.customer_number, 0)
group by owed.agreement_number, owed.customer_number, owed.currency;

create view economic.receivables_aging_base as
select
    owed.agreement_number,
    owed.customer_number,
    max(customers.customer_name) as customer_name,
    owed.base_currency,
    count(*) as invoices,
    coalesce(sum(owed.remainder_base), 0.00) as remainder_base,
    coalesce(sum(owed.remainder_base) filter (where owed.days_overdue is null and owed.remainder > 0), 0.00)
        as not_due_base,
    coalesce(sum(owed.remainder_base) filter (where owed.days_overdue between 1 and 30), 0.00)
        as overdue_1_to_30_base,
    coalesce(sum(owed.remainder_base) filter (where owed.days_overdue between 31 and 60), 0.00)
        as overdue_31_to_60_base,
    coalesce(sum(owed.remainder_base) filter (where owed.days_overdue between 61 and 90), 0.00)
        as overdue_61_to_90_base,
    coalesce(sum(owed.remainder_base) filter (where owed.days_overdue > 90), 0.00) as overdue_over_90_base,
    coalesce(sum(owed.remainder_base) filter (where owed.remainder < 0), 0.00) as credit_base,
    count(*) filter (where owed.remainder_base is null) as without_base
from economic.receivables as owed
left join economic.customers
    on
        owed.agreement_number = customers.agreement_number
        and coalesce(owed.customer_number, 0) = coalesce(customers.customer_number, 0)
group by owed.agreement_number, owed.customer_number, owed.base_currency;

-- Reads tables with the rights of its owner, so that a reader needs none on them. The plan is made
-- for each day anew: for a day of last week it is another one than for a day years ago. PostgreSQL
-- expects twenty times the changes that were in force on a day, and would read the whole history.
create function economic.receivables_as_of(day date, wanted_agreement bigint default null)
returns table (
    agreement_number bigint,
    invoice_number bigint,
    invoice_date date,
    due_date date,
    days_overdue integer,
    customer_number bigint,
    customer_name text,
    employee_number bigint,
    employee_name text,
    external_reference text,
    currency text,
    gross_amount numeric,
    remainder numeric,
    base_currency text,
    remainder_base numeric
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = 'force_custom_plan'
set enable_seqscan = 'off'
set jit = 'off'
as $$
#variable_conflict use_column
declare
    day_end timestamptz := (day + 1)::timestamp at time zone 'Europe/Copenhagen';
    today date := (now() at time zone 'Europe/Copenhagen')::date;
    agreements bigint[];
    unknown text;
begin
    if day is null or day > today then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = format(
                'What is owed at the end of %s cannot be known: today is %s in Copenhagen.',
                coalesce(day::text, 'no day'), today
            );
    end if;
    select
        array_agg(agreement.agreement_number),
        string_agg(
            format(
                'agreement %s (%s): %s',
                agreement.agreement_number,
                agreement.company_name,
                coalesce(
                    'the first day known is '
                    || (agreement.complete_since at time zone 'Europe/Copenhagen')::date,
                    'no full sync has been proven complete yet'
                )
            ),
            '; ' order by agreement.agreement_number
        ) filter (where agreement.complete_since < day_end is not true)
    into agreements, unknown
    from economic.agreement
    where wanted_agreement is null or agreement.agreement_number = wanted_agreement;
    if agreements is null then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = format('Of agreement %s nothing is copied.', coalesce(wanted_agreement::text, 'any number'));
    end if;
    if unknown is not null then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = format('What was owed at the end of %s is not known for %s.', day, unknown),
            hint = 'Ask for a later day, or for one agreement: receivables_as_of(day, agreement_number).';
    end if;
    return query
    -- An invoice that was open that day is open now, or its values of that day have changed since.
    with possible as (
        select
            invoice.agreement_number,
            invoice.invoice_number,
            false as has_changed
        from economic.invoice
        where invoice.agreement_number = any(agreements) and invoice.remainder <> 0
        union all
        select
            history.agreement_number,
            history.invoice_number,
            true as has_changed
        from economic.invoice_history as history
        where
            history.agreement_number = any(agreements)
            and history.changed_at >= day_end
            and history.old_values_since < day_end
    ),

    -- In the order of the table, so that neighbours are read from one page.
    candidate as materialized (
        select
            possible.agreement_number,
            possible.invoice_number,
            bool_or(possible.has_changed) as has_changed
        from possible
        group by possible.agreement_number, possible.invoice_number
        order by possible.agreement_number, possible.invoice_number
    )

    select
        held.agreement_number,
        held.invoice_number,
        held.invoice_date,
        held.due_date,
        case when held.remainder > 0 and held.due_date < day then day - held.due_date end,
        held.customer_number,
        held.customer_name,
        held.employee_number,
        -- The history has no names.
        case
            when held.employee_number is distinct from (found.present).employee_number then employee.name
            else held.employee_name
        end,
        held.external_reference,
        held.currency,
        held.gross_amount,
        held.remainder,
        agreement.base_currency,
        coalesce(
            held.remainder_base,
            economic.in_base(held.remainder, held.currency, agreement.base_currency, held.exchange_rate)
        )
    from candidate
    -- `limit 1` keeps PostgreSQL, which expects far more candidates, from reading every invoice.
    cross join lateral (
        select invoice as present
        from economic.invoice
        where
            invoice.agreement_number = candidate.agreement_number
            and invoice.invoice_number = candidate.invoice_number
            and invoice.first_seen_at < day_end
        limit 1
    ) as found
    cross join lateral (
        -- The newest change first: the value before the earliest one wins. Without one this is
        -- null, for which jsonb_populate_record returns the present values at once.
        select economic.merge_jsonb(history.old_values order by history.change_id desc) as old_values
        from economic.invoice_history as history
        where
            candidate.has_changed
            and history.agreement_number = candidate.agreement_number
            and history.invoice_number = candidate.invoice_number
            and history.changed_at >= day_end
    ) as undone
    cross join lateral jsonb_populate_record(found.present, undone.old_values) as held
    inner join economic.agreement on held.agreement_number = agreement.agreement_number
    left join economic.employee
        on
            held.agreement_number = employee.agreement_number
            and held.employee_number = employee.employee_number
    where
        held.remainder <> 0
        and (held.missing_since is null or held.missing_since >= day_end);
end
$$;

create function economic.receivables_aging_as_of(day date, wanted_agreement bigint default null)
returns table (
    agreement_number bigint,
    customer_number bigint,
    customer_name text,
    currency text,
    invoices bigint,
    remainder numeric,
    not_due numeric,
    overdue_1_to_30 numeric,
    overdue_31_to_60 numeric,
    overdue_61_to_90 numeric,
    overdue_over_90 numeric,
    credit numeric,
    remainder_base numeric
)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
begin atomic
    select
        owed.agreement_number,
        owed.customer_number,
        max(customers.customer_name) as customer_name,
        owed.currency,
        count(*) as invoices,
        sum(owed.remainder) as remainder,
        coalesce(sum(owed.remainder) filter (where owed.days_overdue is null and owed.remainder > 0), 0.00) as not_due,
        coalesce(sum(owed.remainder) filter (where owed.days_overdue between 1 and 30), 0.00) as overdue_1_to_30,
        coalesce(sum(owed.remainder) filter (where owed.days_overdue between 31 and 60), 0.00) as overdue_31_to_60,
        coalesce(sum(owed.remainder) filter (where owed.days_overdue between 61 and 90), 0.00) as overdue_61_to_90,
        coalesce(sum(owed.remainder) filter (where owed.days_overdue > 90), 0.00) as overdue_over_90,
        coalesce(sum(owed.remainder) filter (where owed.remainder < 0), 0.00) as credit,
        sum(owed.remainder_base) as remainder_base
    from economic.receivables_as_of(day, wanted_agreement) as owed
    left join economic.customers
        on
            owed.agreement_number = customers.agreement_number
            and coalesce(owed.customer_number, 0) = coalesce(customers.customer_number, 0)
    group by owed.agreement_number, owed.customer_number, owed.currency;
end;

create view economic.receivables_by_employee as
select
    owed.agreement_number,
    owed.employee_number,
    max(owed.employee_name) as employee_name,
    owed.base_currency,
    count(distinct owed.customer_number) as customers,
    count(*) as invoices,
    count(owed.days_overdue) as overdue_invoices,
    max(owed.days_overdue) as most_days_overdue,
    coalesce(sum(owed.remainder_base), 0.00) as remainder_base,
    coalesce(sum(owed.remainder_base) filter (where owed.days_overdue > 0), 0.00) as overdue_base,
    count(*) filter (where owed.remainder_base is null) as without_base
from economic.receivables as owed
group by owed.agreement_number, owed.employee_number, owed.base_currency;

create view economic.receivables_by_reference as
select
    owed.agreement_number,
    owed.external_reference,
    owed.base_currency,
    count(distinct owed.customer_number) as customers,
    count(*) as invoices,
    count(owed.days_overdue) as overdue_invoices,
    max(owed.days_overdue) as most_days_overdue,
    coalesce(sum(owed.remainder_base), 0.00) as remainder_base,
    coalesce(sum(owed.remainder_base) filter (where owed.days_overdue > 0), 0.00) as overdue_base,
    count(*) filter (where owed.remainder_base is null) as without_base
from economic.receivables as owed
group by owed.agreement_number, owed.external_reference, owed.base_currency;

create view economic.revenue_by_month as
with booked as (
    select
        invoice.agreement_number,
        date_trunc('month', invoice.invoice_date)::date as month,
        agreement.base_currency,
        (invoice.gross_amount < 0) as is_credit_note,
        coalesce(
            invoice.net_amount_base,
            economic.in_base(
                invoice.net_amount, invoice.currency, agreement.base_currency, invoice.exchange_rate
            )
        ) as net_base
    from economic.invoice
    inner join economic.agreement on invoice.agreement_number = agreement.agreement_number
    where invoice.missing_since is null
)

select
    booked.agreement_number,
    booked.month,
    booked.base_currency,
    count(*) filter (where not booked.is_credit_note) as invoices,
    count(*) filter (where booked.is_credit_note) as credit_notes,
    coalesce(sum(booked.net_base) filter (where not booked.is_credit_note), 0.00) as invoiced_base,
    coalesce(sum(booked.net_base) filter (where booked.is_credit_note), 0.00) as credited_base,
    coalesce(sum(booked.net_base), 0.00) as revenue_base,
    count(*) filter (where booked.net_base is null) as without_base
from booked
group by booked.agreement_number, booked.month, booked.base_currency;

create view economic.days_to_pay as
with settled as (
    -- Where nothing remains, the last change of the remainder has settled it.
    select
        history.agreement_number,
        history.invoice_number,
        max(history.changed_at) as settled_at
    from economic.invoice_history as history
    where history.new_values ? 'remainder'
    group by history.agreement_number, history.invoice_number
)

select
    invoice.agreement_number,
    invoice.invoice_number,
    invoice.customer_number,
    invoice.customer_name,
    invoice.employee_number,
    invoice.employee_name,
    invoice.currency,
    invoice.gross_amount,
    invoice.invoice_date,
    invoice.due_date,
    settled.settled_at,
    (settled.settled_at at time zone 'Europe/Copenhagen')::date - invoice.invoice_date as days_to_pay,
    (settled.settled_at at time zone 'Europe/Copenhagen')::date - invoice.due_date as days_late
from economic.invoice
left join settled
    on
        invoice.agreement_number = settled.agreement_number
        and invoice.invoice_number = settled.invoice_number
where invoice.remainder = 0 and invoice.gross_amount > 0 and invoice.missing_since is null;

create view economic.customer_days_to_pay as
select
    paid.agreement_number,
    paid.customer_number,
    max(customers.customer_name) as customer_name,
    count(paid.days_to_pay) as invoices,
    round(avg(paid.days_to_pay), 1) as average_days_to_pay,
    round((percentile_cont(0.5) within group (order by paid.days_to_pay))::numeric, 1) as median_days_to_pay,
    round(avg(paid.days_late), 1) as average_days_late,
    count(*) filter (where paid.days_late > 0) as paid_late
from economic.days_to_pay as paid
left join economic.customers
    on
        paid.agreement_number = customers.agreement_number
        and coalesce(paid.customer_number, 0) = coalesce(customers.customer_number, 0)
where paid.settled_at is not null
group by paid.agreement_number, paid.customer_number;

create function economic.days_sales_outstanding(day date, wanted_agreement bigint default null)
returns table (
    agreement_number bigint,
    base_currency text,
    receivables_base numeric,
    sales_base numeric,
    days_sales_outstanding numeric,
    without_base bigint
)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
begin atomic
    with period as (
        select
            day - 364 as first_day,
            day as last_day,
            wanted_agreement as agreement_number
    ),

    -- Both in one list, so that what was owed is always asked for: a day unknown there is an error.
    amount as (
        select
            owed.agreement_number,
            owed.base_currency,
            owed.remainder_base as owed_base,
            0 as sold_base
        from period
        cross join lateral economic.receivables_as_of(period.last_day, period.agreement_number) as owed
        union all
        select
            invoice.agreement_number,
            agreement.base_currency,
            0 as owed_base,
            coalesce(
                invoice.gross_amount_base,
                economic.in_base(
                    invoice.gross_amount, invoice.currency, agreement.base_currency, invoice.exchange_rate
                )
            ) as sold_base
        from economic.invoice
        inner join economic.agreement on invoice.agreement_number = agreement.agreement_number
        inner join period
            on
                invoice.invoice_date between period.first_day and period.last_day
                and (period.agreement_number is null or invoice.agreement_number = period.agreement_number)
        where invoice.missing_since is null
    )

    select
        amount.agreement_number,
        amount.base_currency,
        coalesce(sum(amount.owed_base), 0.00) as receivables_base,
        coalesce(sum(amount.sold_base), 0.00) as sales_base,
        case
            when sum(amount.sold_base) > 0
                then round(365 * coalesce(sum(amount.owed_base), 0.00) / sum(amount.sold_base), 1)
        end as days_sales_outstanding,
        count(*) filter (where amount.owed_base is null or amount.sold_base is null) as without_base
    from amount
    group by amount.agreement_number, amount.base_currency;
end;

create function economic.customer_statement(wanted_customer bigint, wanted_agreement bigint default null)
returns table (
    agreement_number bigint,
    entry_date date,
    entry text,
    invoice_number bigint,
    due_date date,
    currency text,
    amount numeric,
    balance numeric
)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
begin atomic
    with wanted as (
        select
            wanted_customer as customer_number,
            wanted_agreement as agreement_number
    ),

    booked as (
        select
            invoice.agreement_number,
            invoice.invoice_number,
            coalesce(invoice.invoice_date, (invoice.first_seen_at at time zone 'Europe/Copenhagen')::date) as day,
            invoice.due_date,
            invoice.currency,
            invoice.gross_amount
        from economic.invoice
        inner join wanted
            on
                invoice.customer_number = wanted.customer_number
                and (wanted.agreement_number is null or invoice.agreement_number = wanted.agreement_number)
        where invoice.missing_since is null
    ),

    line as (
        select
            booked.*,
            booked.day as entry_date,
            case when booked.gross_amount < 0 then 'credit note' else 'invoice' end as entry,
            booked.gross_amount as amount,
            null::timestamptz as seen_at
        from booked
        union all
        select
            booked.*,
            -- What was paid before the first sync has no date: it follows its invoice.
            case
                when payment.sync_id is null then booked.day
                else (payment.seen_at at time zone 'Europe/Copenhagen')::date
            end as entry_date,
            payment.kind as entry,
            -payment.amount as amount,
            payment.seen_at
        from booked
        cross join lateral (
            select payments.*
            from economic.payments
            where
                payments.agreement_number = booked.agreement_number
                and payments.invoice_number = booked.invoice_number
            -- `offset` keeps PostgreSQL from working out the payments of all customers
            order by payments.seen_at offset 0
        ) as payment
    )

    select
        line.agreement_number,
        line.entry_date,
        line.entry,
        line.invoice_number,
        line.due_date,
        line.currency,
        line.amount,
        sum(line.amount) over (
            partition by line.agreement_number, line.currency
            order by line.entry_date, line.invoice_number, line.seen_at nulls first
            rows unbounded preceding
        ) as balance
    from line
    order by
        line.agreement_number, line.currency, line.entry_date, line.invoice_number, line.seen_at nulls first;
end;

-- Whoever may read the schema need not be allowed to read what is owed.
revoke execute on function economic.customer_statement(bigint, bigint) from public;
revoke execute on function economic.days_sales_outstanding(date, bigint) from public;
revoke execute on function economic.receivables_as_of(date, bigint) from public;
revoke execute on function economic.receivables_aging_as_of(date, bigint) from public;

create view economic.invoices as
select
    invoice.invoice_number,
    invoice.invoice_date,
    invoice.due_date,
    invoice.customer_number,
    invoice.customer_name,
    invoice.subject,
    invoice.gross_amount,
    invoice.remainder,
    invoice.currency,
    invoice.external_reference,
    invoice.raw_data ->> 'externalId' as external_id,
    invoice.employee_number,
    invoice.employee_name,
    invoice.pdf_url,
    invoice.raw_data,
    company.last_synced_at,
    invoice.agreement_number
from economic.invoice
left join economic.sync_status as company on invoice.agreement_number = company.agreement_number
where invoice.missing_since is null;

comment on table economic.schema_version is 'The applied steps of this schema.';
comment on table economic.agreement is 'One row for each e-conomic agreement (company) whose invoices are copied.';
comment on table economic.invoice is 'Every booked invoice and credit note as last returned. Never deleted.';
comment on table economic.invoice_history is
'Changes of invoices, when seen. Those of remainder are payments; one of missing_since is a return.';
comment on table economic.employee is 'Names of employees by number; read from e-conomic once an hour at most.';
comment on table economic.sync_run is 'One row for each sync: its progress while it runs, its result afterwards.';
comment on table economic.sync_lease is 'The right to write an agreement''s invoices: who holds it, and until when.';
comment on table economic.staged_invoice is 'Invoices on their way into invoice. Empty after a crash of PostgreSQL.';
comment on table economic.rejected_invoice is
'Items that could not be stored, with the reason and their text, until e-conomic returns them corrected.';
comment on table economic.degraded_field is 'Unusable values, stored as null until e-conomic returns them corrected.';
comment on view economic.sync_status is
'One row for each agreement: its last sync, its last success, whether one runs or is stalled, and how many invoices '
'are held.';
comment on view economic.invoice_overview is
'Invoices with their status as of today in Copenhagen, missing ones (missing_since) too.';
comment on view economic.payments is
'Changes of remainder between two syncs, and what was paid before an invoice was first seen: the sum of amount is '
'gross minus remainder for every invoice, missing ones too. A payment here may also be a match with a credit note. '
'On a credit note the amounts are negative when it is used.';
comment on view economic.customers is 'The name on each customer''s newest invoice.';
comment on view economic.receivables is
'Invoices and credit notes that are open now, in the columns of receivables_as_of. Missing ones are left out.';
comment on view economic.receivables_aging is 'What customers owe, by customer, currency and days overdue.';
comment on view economic.receivables_aging_base is
'What customers owe by days overdue, all currencies together in the base currency.';
comment on view economic.receivables_by_employee is
'What is owed now by salesperson (employee of the invoice), in the base currency.';
comment on view economic.receivables_by_reference is
'What is owed now by external_reference (e-conomic: other reference), in the base currency.';
comment on view economic.revenue_by_month is
'Net amounts by month of the invoice date, in the base currency, credit notes apart. Missing invoices are left out.';
comment on view economic.days_to_pay is
'Settled invoices, without credit notes: days until they were paid or matched with a credit note. Missing ones are '
'left out.';
comment on view economic.customer_days_to_pay is
'How long each customer takes to pay, over the invoices whose settling a sync has seen.';
comment on view economic.invoices is 'Invoices that are not missing, under the column names of the replaced program.';
-- A line `name: text` of a function's comment explains a parameter or a returned column. A column
-- without one means the same as one of that name in a view or in invoice.
comment on function economic.receivables_as_of(date, bigint) is
'Invoices and credit notes that were open at the end of a day, with their values then: the present ones, from which '
'invoice_history takes back what was seen later. A payment, and an invoice dated earlier, counts from when a sync has '
'seen it; a future invoice date counts too. An invoice that was missing (missing_since) at the end of that day is '
'left out. Before the first full sync that is proven complete nothing is known: that is an error with the first day '
'known, also when it is so for one of several agreements, because the sum would lack it; ask for the others by the '
'second argument (agreement.complete_since, sync_status.complete_since). A future day is an error.

day: The day whose end counts, in Copenhagen.
wanted_agreement: Only this agreement; null for all.
days_overdue: Days since the due date that day; null unless overdue then.';
comment on function economic.receivables_aging_as_of(date, bigint) is
'What customers owed at the end of a day: receivables_as_of in the columns of receivables_aging. Customers have the '
'name on their newest invoice now.

day: The day whose end counts, in Copenhagen.
wanted_agreement: Only this agreement; null for all.';
comment on function economic.customer_statement(bigint, bigint) is
'A customer''s invoices, credit notes and payments by date, with the balance in each agreement and currency; the last '
'one is what is owed now. A payment has the day when a sync saw it; what was already paid when first seen has the day '
'of its invoice. A match with a credit note shows on both. Missing invoices are left out.

wanted_customer: The customer''s number.
wanted_agreement: Only this agreement; null for all: customer numbers are those of a company.
entry_date: Invoice date, or when a sync saw the payment, in Copenhagen.
entry: invoice, credit note, or kind of payments.
amount: Gross amount of the invoice or credit note; what is paid has the opposite sign.
balance: Sum of the amounts so far, in this agreement and currency.';
comment on function economic.days_sales_outstanding(date, bigint) is
'How many days of sales were still owed at the end of a day, by agreement: 365 * receivables_base / sales_base, in '
'the base currency. An agreement with neither has no row. A day before the first full sync that is proven complete is '
'an error, as in receivables_as_of.

day: The day whose end counts, in Copenhagen.
wanted_agreement: Only this agreement; null for all.
receivables_base: Sum of receivables_as_of that day.
sales_base: Gross amounts (with VAT, as in what is owed) of the invoices dated in the 365 days that end with that day, '
'as they are now; credit notes reduce it, missing invoices are left out.
days_sales_outstanding: Days; null unless sales_base is positive; too high in the first year of a company.
without_base: Amounts left out of the sums: with neither a value in the base currency nor an exchange rate.';
comment on function economic.in_base(numeric, text, text, numeric) is
'An amount in the base currency by the exchange rate, rounded to hundredths; null without a rate.

amount: In currency.';
comment on function economic.with_cents(numeric) is
'The same amount with two decimals, or with as many more as it needs.

amount: In any currency.';
comment on aggregate economic.merge_jsonb (jsonb) is 'Objects as one; of equal keys the last one in order wins.';
comment on function economic.forget_digest() is 'Clears the digest of an invoice whose values changed without it.';

comment on column economic.invoice.agreement_number is 'The company: e-conomic''s agreement number.';
comment on column economic.invoice.invoice_number is 'e-conomic: bookedInvoiceNumber; gaps are normal.';
comment on column economic.invoice.order_number is 'e-conomic: orderNumber; the order or draft it was booked from.';
comment on column economic.invoice.invoice_date is 'e-conomic: date; chosen by the user, may be backdated.';
comment on column economic.invoice.due_date is 'e-conomic: dueDate; null when the invoice has none.';
comment on column economic.invoice.currency is 'e-conomic: currency; ISO 4217 code of the amounts without _base.';
comment on column economic.invoice.exchange_rate is 'e-conomic: exchangeRate; price of 100 units in the base currency.';
comment on column economic.invoice.net_amount is 'e-conomic: netAmount; before VAT; negative on a credit note.';
comment on column economic.invoice.vat_amount is 'e-conomic: vatAmount.';
comment on column economic.invoice.gross_amount is 'e-conomic: grossAmount; with VAT; negative on a credit note.';
comment on column economic.invoice.remainder is 'e-conomic: remainder; still owed; payments move it, also back up.';
comment on column economic.invoice.net_amount_base is 'e-conomic: netAmountInBaseCurrency.';
comment on column economic.invoice.gross_amount_base is 'e-conomic: grossAmountInBaseCurrency.';
comment on column economic.invoice.remainder_base is 'e-conomic: remainderInBaseCurrency.';
comment on column economic.invoice.rounding_amount is 'e-conomic: roundingAmount; in the base currency.';
comment on column economic.invoice.customer_number is 'e-conomic: customer.customerNumber.';
comment on column economic.invoice.customer_name is 'e-conomic: recipient.name; as printed when booked.';
comment on column economic.invoice.recipient_address is 'e-conomic: recipient.address; may hold line breaks.';
comment on column economic.invoice.recipient_zip is 'e-conomic: recipient.zip; text, for leading zeros.';
comment on column economic.invoice.recipient_city is 'e-conomic: recipient.city.';
comment on column economic.invoice.recipient_country is 'e-conomic: recipient.country.';
comment on column economic.invoice.recipient_ean is 'e-conomic: recipient.ean; text, for leading zeros.';
comment on column economic.invoice.recipient_cvr is 'e-conomic: recipient.cvr; Danish company registration number.';
comment on column economic.invoice.vat_zone_number is 'e-conomic: recipient.vatZone.vatZoneNumber.';
comment on column economic.invoice.subject is 'e-conomic: notes.heading.';
comment on column economic.invoice.external_reference is 'e-conomic: references.other.';
comment on column economic.invoice.employee_number is 'e-conomic: references.salesPerson.employeeNumber.';
comment on column economic.invoice.employee_name is 'Name of employee_number; never cleared once known.';
comment on column economic.invoice.vendor_employee_number is 'e-conomic: references.vendorReference.employeeNumber.';
comment on column economic.invoice.payment_terms_number is 'e-conomic: paymentTerms.paymentTermsNumber.';
comment on column economic.invoice.payment_terms_name is 'e-conomic: paymentTerms.name.';
comment on column economic.invoice.payment_terms_type is 'e-conomic: paymentTerms.paymentTermsType, such as net.';
comment on column economic.invoice.days_of_credit is 'e-conomic: paymentTerms.daysOfCredit; days.';
comment on column economic.invoice.project_number is 'e-conomic: project.projectNumber.';
comment on column economic.invoice.layout_number is 'e-conomic: layout.layoutNumber.';
comment on column economic.invoice.pdf_url is 'e-conomic: pdf.download; opens with the API tokens only.';
comment on column economic.invoice.raw_data is 'The whole item as e-conomic returned it.';
comment on column economic.invoice.first_seen_at is 'When a sync first stored the invoice.';
comment on column economic.invoice.last_changed_at is 'When a value except employee_name and raw_data changed.';
comment on column economic.invoice.missing_since is 'When a complete scan first missed it; null while found.';
comment on column economic.invoice.digest is 'Fingerprint of the raw item; null after a change by anyone but a sync.';

comment on column economic.schema_version.version is 'Number of the step.';
comment on column economic.schema_version.name is 'Name of the step.';
comment on column economic.schema_version.applied_at is 'When it was applied.';

comment on column economic.agreement.conn_id is 'The Airflow connection that reaches it; bound by the first sync.';
comment on column economic.agreement.company_name is 'e-conomic: company.name of /self.';
comment on column economic.agreement.base_currency is 'e-conomic: settings.baseCurrency; of amounts named _base.';
comment on column economic.agreement.first_seen_at is 'When the first sync reached it.';
comment on column economic.agreement.complete_since is
'When the first full sync ended that was proven complete; from then on every day''s receivables are known.';

comment on column economic.employee.employee_number is 'e-conomic: employeeNumber.';
comment on column economic.employee.name is 'e-conomic: name; the last one known.';
comment on column economic.employee.unknown is 'Whether e-conomic does not list the employee (any more).';
comment on column economic.employee.fetched_at is 'When the name was last read.';

comment on column economic.invoice_history.change_id is 'Order of the changes.';
comment on column economic.invoice_history.changed_at is 'When a sync saw it; it happened since the previous sync.';
comment on column economic.invoice_history.old_values_since is
'Since when the invoice had these values: its change before, or when it was first seen.';
comment on column economic.invoice_history.happened_after is
'Start of the last proven sync before, of a full one where a remainder was negative: the change is younger. Null when '
'there was none, or it did not read the invoice (missing, rejected).';
comment on column economic.invoice_history.old_values is 'The changed columns with their old values.';
comment on column economic.invoice_history.new_values is 'The changed columns with their new values.';

comment on column economic.sync_run.sync_id is 'Number of the sync; a resumed sync keeps it.';
comment on column economic.sync_run.dag_id is 'The DAG that started it.';
comment on column economic.sync_run.run_id is 'The DAG run that started it.';
comment on column economic.sync_run.run_key is 'Random text of the DAG run; run ids are equal in every Airflow.';
comment on column economic.sync_run.clear_number is 'Times the DAG run had been cleared at the last start or resume.';
comment on column economic.sync_run.run_type is 'Airflow''s kind of run: scheduled, manual, backfill, asset_triggered.';
comment on column economic.sync_run.conn_id is 'The connection it used.';
comment on column economic.sync_run.agreement_number is 'The company; null until e-conomic has returned it.';
comment on column economic.sync_run.scope is
'full, range when limited by invoice dates, or quick when only what can have changed was read.';
comment on column economic.sync_run.date_from is 'First invoice date of a range.';
comment on column economic.sync_run.date_to is 'Last invoice date of a range.';
comment on column economic.sync_run.force is 'Whether it was forced.';
comment on column economic.sync_run.accept_missing is 'Whether any number of invoices may be marked missing.';
comment on column economic.sync_run.phase is 'begin, waiting, fetch, upsert, names, ended.';
comment on column economic.sync_run.status is
'running, completed, completed_with_errors, failed, skipped, superseded, abandoned.';
comment on column economic.sync_run.percentage is 'Progress, 0 to 100; fetching and storing count alike.';
comment on column economic.sync_run.current is 'Invoices done in this phase.';
comment on column economic.sync_run.total is 'Invoices of this phase, as e-conomic counts them.';
comment on column economic.sync_run.message is 'The current step, or the result, as a sentence.';
comment on column economic.sync_run.started_at is 'Start of the sync.';
comment on column economic.sync_run.updated_at is 'Time of the last heartbeat.';
comment on column economic.sync_run.finished_at is 'End of the sync.';
comment on column economic.sync_run.scan_number is 'Number of the scan: 2 after a restart.';
comment on column economic.sync_run.scan_started_at is 'Start of the scan: nothing it read is older.';
comment on column economic.sync_run.scan_advanced_at is 'When the scan last read a page, or its start.';
comment on column economic.sync_run.scan_cursor is 'Highest invoice number read.';
comment on column economic.sync_run.scan_seen is 'Distinct invoices read.';
comment on column economic.sync_run.scan_drifted is 'Whether invoices changed among those already read.';
comment on column economic.sync_run.staged_rows is 'Rows staged, by page.';
comment on column economic.sync_run.stored_pages is 'Pages stored in invoice.';
comment on column economic.sync_run.booked_count is 'e-conomic''s count at the end of the scan.';
comment on column economic.sync_run.totals is 'e-conomic''s totals: count and net sum in base currency.';
comment on column economic.sync_run.complete is 'Whether the scan is proven to have seen every invoice.';
comment on column economic.sync_run.reconciled is 'Whether the copy agrees with the totals; null when not compared.';
comment on column economic.sync_run.verdict is 'Result of the comparison, as a sentence.';
comment on column economic.sync_run.warning is 'What a person should look at although invoices are stored, or null.';
comment on column economic.sync_run.held is 'The copy after this sync: counts, sums in base currency, months.';
comment on column economic.sync_run.announced_at is 'When Airflow recorded the event for its changes, or null.';
comment on column economic.sync_run.quiet is
'Whether it was a quick sync that changed nothing: lists leave it out, and it is kept for a day.';
comment on column economic.sync_run.statistics is 'The counts so far; after the end, the final statistics.';

comment on column economic.sync_lease.token is 'Fencing token: grows with each taking, attempt and release.';
comment on column economic.sync_lease.holder is 'The sync that may write; null when free.';
comment on column economic.sync_lease.attempt is 'The task attempt that may write, for the log.';
comment on column economic.sync_lease.acquired_at is 'When the holder took it.';
comment on column economic.sync_lease.heartbeat_at is 'Time of the holder''s last heartbeat.';
comment on column economic.sync_lease.expires_at is 'When any sync may take it.';
comment on column economic.sync_lease.proven_token is
'The token when a quick sync had proven the copy; at the next one nothing else was written since.';
comment on column economic.sync_lease.proven_sync_id is 'That quick sync.';

comment on column economic.rejected_invoice.item_key is 'invoice:NUMBER, or sha256:HASH of an item without a number.';
comment on column economic.rejected_invoice.invoice_number is 'The invoice''s number, when it has one.';
comment on column economic.rejected_invoice.field is 'The rejected field, as e-conomic spells it, or the constraint.';
comment on column economic.rejected_invoice.reason is 'Short code for counting.';
comment on column economic.rejected_invoice.message is 'The problem, as a sentence.';
comment on column economic.rejected_invoice.first_seen_at is 'When it was first rejected.';
comment on column economic.rejected_invoice.last_seen_at is 'When it was last rejected.';
comment on column economic.rejected_invoice.seen_count is 'Number of syncs that rejected it.';
comment on column economic.rejected_invoice.last_sync_id is 'The last sync that rejected it.';
comment on column economic.rejected_invoice.resolved_at is 'When it was stored or no longer found; null while open.';

comment on column economic.degraded_field.field is 'The field as e-conomic spells it; (item) for one without a column.';
comment on column economic.degraded_field.message is 'The problem, as a sentence without amounts.';
comment on column economic.degraded_field.first_seen_at is 'When it was first left out.';
comment on column economic.degraded_field.last_seen_at is 'When it was last read; an unchanged invoice is not.';
comment on column economic.degraded_field.last_sync_id is 'The last sync that read it so.';
comment on column economic.degraded_field.resolved_at is 'When a sync read the field corrected; null while it is open.';

comment on column economic.staged_invoice.page is 'Page of the scan.';
comment on column economic.staged_invoice.position is 'Place within the page.';
comment on column economic.staged_invoice.same is 'Whether the invoice is unchanged: then only its number is staged.';

comment on column economic.sync_status.last_synced_at is
'Start of the last full sync that succeeded, or proven quick one: the copy is as e-conomic was then.';
comment on column economic.sync_status.last_full_scan_at is 'Start of the last full sync that succeeded.';
comment on column economic.sync_status.success_sync_id is 'That sync.';
comment on column economic.sync_status.success_status is 'completed, or completed_with_errors.';
comment on column economic.sync_status.verdict is 'Result of the comparison; null for a role that cannot read sums.';
comment on column economic.sync_status.booked is 'How many invoices e-conomic counted then; null if not asked.';
comment on column economic.sync_status.booked_net is 'e-conomic''s net sum; null for a role that cannot read sums.';
comment on column economic.sync_status.last_sync_id is 'The newest sync, whatever its status.';
comment on column economic.sync_status.running is 'Whether it runs.';
comment on column economic.sync_status.stalled is 'Whether its lease expired at work: the next sync takes over.';
comment on column economic.sync_status.held_sync_id is 'The sync that counted what is held.';
comment on column economic.sync_status.held is 'The copy then: counts, months, and sums for a role that may read them.';
comment on column economic.sync_status.invoices is 'Invoices held then, missing ones left out.';
comment on column economic.sync_status.missing is 'Invoices that e-conomic no longer returned then.';
comment on column economic.sync_status.rejected is 'Items rejected now.';
comment on column economic.sync_status.degraded is 'Invoices that are stored now with a field left out.';

comment on column economic.invoice_overview.status is 'settled, credit (negative remainder), overdue or open.';
comment on column economic.invoice_overview.days_overdue is 'Days since the due date; null unless overdue.';
comment on column economic.invoice_overview.is_credit_note is 'Whether the gross amount is negative.';

comment on column economic.payments.seen_at is 'When a sync saw it: it happened then at the latest.';
comment on column economic.payments.earliest_at is
'It happened then at the earliest: at the start of the last proven sync before. Null where that is not known.';
comment on column economic.payments.kind is
'already paid when first seen; paid, taken back; of a credit note: credit used, credit taken back.';
comment on column economic.payments.sync_id is 'The sync that saw it; null for already paid when first seen.';
comment on column economic.payments.amount is
'Increase of gross minus remainder, in currency: of an invoice positive when paid, negative when taken back.';
comment on column economic.payments.amount_base is
'The same in the base currency; by the exchange rate where e-conomic has no remainder in it; null without either.';
comment on column economic.payments.remainder_after is
'Remainder after it, in currency; null where only the gross amount changed.';

comment on column economic.receivables.days_overdue is 'Days since the due date; null unless overdue.';
comment on column economic.receivables.remainder_base is
'The remainder in the base currency; by the exchange rate where e-conomic has none in it, null without either.';

comment on column economic.receivables_aging.customer_name is 'The name on the customer''s newest invoice.';
comment on column economic.receivables_aging.invoices is 'Number of invoices and credit notes with a remainder.';
comment on column economic.receivables_aging.remainder is 'Sum of the remainders, credits subtracted.';
comment on column economic.receivables_aging.not_due is 'Owed but not yet due, or without a due date.';
comment on column economic.receivables_aging.overdue_1_to_30 is 'Overdue by 1 to 30 days.';
comment on column economic.receivables_aging.overdue_31_to_60 is 'Overdue by 31 to 60 days.';
comment on column economic.receivables_aging.overdue_61_to_90 is 'Overdue by 61 to 90 days.';
comment on column economic.receivables_aging.overdue_over_90 is 'Overdue by more than 90 days.';
comment on column economic.receivables_aging.credit is 'Negative remainders: unmatched credit notes, overpayments.';
comment on column economic.receivables_aging.remainder_base is
'The same in the base currency; by the exchange rate where e-conomic has no remainder in it.';

comment on column economic.receivables_aging_base.customer_name is 'The name on the customer''s newest invoice.';
comment on column economic.receivables_aging_base.invoices is 'Number of invoices and credit notes with a remainder.';
comment on column economic.receivables_aging_base.remainder_base is
'Sum of the remainders in the base currency, credits subtracted; by the exchange rate where e-conomic has none in it.';
comment on column economic.receivables_aging_base.not_due_base is 'Owed but not yet due, or without a due date.';
comment on column economic.receivables_aging_base.overdue_1_to_30_base is 'Overdue by 1 to 30 days.';
comment on column economic.receivables_aging_base.overdue_31_to_60_base is 'Overdue by 31 to 60 days.';
comment on column economic.receivables_aging_base.overdue_61_to_90_base is 'Overdue by 61 to 90 days.';
comment on column economic.receivables_aging_base.overdue_over_90_base is 'Overdue by more than 90 days.';
comment on column economic.receivables_aging_base.credit_base is
'Negative remainders: unmatched credit notes, overpayments.';
comment on column economic.receivables_aging_base.without_base is
'Invoices left out of the sums: with neither an amount in the base currency nor an exchange rate.';

comment on column economic.receivables_by_employee.customers is 'How many customers owe or have credit.';
comment on column economic.receivables_by_employee.invoices is 'Number of invoices and credit notes with a remainder.';
comment on column economic.receivables_by_employee.overdue_invoices is 'How many of them are overdue.';
comment on column economic.receivables_by_employee.most_days_overdue is 'Days of the one overdue longest, or null.';
comment on column economic.receivables_by_employee.remainder_base is
'Sum of the remainders in the base currency, credits subtracted; by the exchange rate where e-conomic has none in it.';
comment on column economic.receivables_by_employee.overdue_base is 'The part of it that is overdue.';
comment on column economic.receivables_by_employee.without_base is
'Invoices left out of the sums: with neither an amount in the base currency nor an exchange rate.';
comment on column economic.receivables_by_reference.customers is 'How many customers owe or have credit.';
comment on column economic.receivables_by_reference.invoices is 'Number of invoices and credit notes with a remainder.';
comment on column economic.receivables_by_reference.overdue_invoices is 'How many of them are overdue.';
comment on column economic.receivables_by_reference.most_days_overdue is 'Days of the one overdue longest, or null.';
comment on column economic.receivables_by_reference.remainder_base is
'Sum of the remainders in the base currency, credits subtracted; by the exchange rate where e-conomic has none in it.';
comment on column economic.receivables_by_reference.overdue_base is 'The part of it that is overdue.';
comment on column economic.receivables_by_reference.without_base is
'Invoices left out of the sums: with neither an amount in the base currency nor an exchange rate.';

comment on column economic.revenue_by_month.month is 'First day of the month of the invoice date; null without one.';
comment on column economic.revenue_by_month.invoices is 'Number of invoices.';
comment on column economic.revenue_by_month.credit_notes is 'Number of credit notes.';
comment on column economic.revenue_by_month.invoiced_base is 'Net sum of the invoices.';
comment on column economic.revenue_by_month.credited_base is 'Net sum of the credit notes; negative.';
comment on column economic.revenue_by_month.revenue_base is 'Both together.';
comment on column economic.revenue_by_month.without_base is
'Invoices left out of the sums: with neither an amount in the base currency nor an exchange rate.';

comment on column economic.days_to_pay.settled_at is
'When a sync saw it settled; null when it was settled before it was first seen.';
comment on column economic.days_to_pay.days_to_pay is 'Days from the invoice date to settled_at in Copenhagen.';
comment on column economic.days_to_pay.days_late is
'Days from the due date to settled_at; negative when early, null without a due date.';

comment on column economic.customer_days_to_pay.customer_name is 'The name on the customer''s newest invoice.';
comment on column economic.customer_days_to_pay.invoices is 'Number of invoices seen settled.';
comment on column economic.customer_days_to_pay.average_days_to_pay is 'Average of days_to_pay.';
comment on column economic.customer_days_to_pay.median_days_to_pay is 'Half of the invoices took no longer.';
comment on column economic.customer_days_to_pay.average_days_late is 'Average of days_late; negative when early.';
comment on column economic.customer_days_to_pay.paid_late is 'Number of invoices settled after their due date.';

comment on column economic.invoices.external_id is 'e-conomic: externalId; not known to be sent for booked invoices.';

-- A column without a comment means the same as one of that name elsewhere: copy its comment.
do $$
declare
    target record;
begin
    for target in
        select distinct on (attribute.attrelid, attribute.attnum)
            attribute.attrelid::regclass as relation,
            attribute.attname as name,
            col_description(source.attrelid, source.attnum) as description
        from pg_class as class
        inner join pg_attribute as attribute on class.oid = attribute.attrelid
        cross join unnest('{invoice,agreement,sync_run,sync_status,rejected_invoice}'::text[])
        with ordinality as origin (name, rank)
        inner join pg_attribute as source
            on
                source.attrelid = format('economic.%I', origin.name)::regclass
                and attribute.attname in (source.attname, 'last_' || source.attname)
                and col_description(source.attrelid, source.attnum) is not null
        where
            class.relnamespace = 'economic'::regnamespace
            and class.relkind in ('r', 'v')
            and attribute.attnum > 0
            and col_description(attribute.attrelid, attribute.attnum) is null
        order by attribute.attrelid, attribute.attnum, origin.rank
    loop
        execute format('comment on column %s.%I is %L', target.relation, target.name, target.description);
    end loop;
end
$$;
