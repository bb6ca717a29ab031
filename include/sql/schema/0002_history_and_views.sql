-- What people read: the history of changes, and the views.

create table economic.invoice_history (
    change_id bigint generated always as identity primary key,
    agreement_number bigint not null,
    invoice_number bigint not null,
    changed_at timestamptz not null default now(),
    sync_id bigint not null,
    old_values jsonb not null,
    new_values jsonb not null
);

create index invoice_history_of_invoice on economic.invoice_history (agreement_number, invoice_number, change_id);

alter table economic.sync_run
add column warning text,
add column held jsonb;

create index sync_run_of_agreement on economic.sync_run (agreement_number, sync_id desc);

create view economic.sync_status as
select
    agreement.agreement_number,
    agreement.company_name,
    agreement.base_currency,
    agreement.conn_id,
    success.finished_at as last_synced_at,
    success.sync_id as success_sync_id,
    success.status as success_status,
    success.complete,
    success.reconciled,
    success.verdict,
    success.warning,
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
    held.held,
    (held.held ->> 'invoice_count')::bigint as invoices,
    (held.held ->> 'missing_count')::bigint as missing,
    (
        select count(*)
        from economic.rejected_invoice
        where rejected_invoice.agreement_number = agreement.agreement_number and rejected_invoice.resolved_at is null
    ) as rejected
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
        and sync_run.scope = 'full'
        and sync_run.status in ('completed', 'completed_with_errors')
    order by sync_run.sync_id desc
    limit 1
) as success on true
left join lateral (
    select
        sync_run.sync_id,
        sync_run.held
    from economic.sync_run
    where sync_run.agreement_number = agreement.agreement_number and sync_run.held is not null
    order by sync_run.sync_id desc
    limit 1
) as held on true
left join economic.sync_lease as lease on agreement.agreement_number = lease.agreement_number;

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
    invoice.recipient_city,
    invoice.recipient_country,
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
select
    history.agreement_number,
    history.invoice_number,
    history.changed_at as seen_at,
    (history.old_values ->> 'remainder')::numeric - (history.new_values ->> 'remainder')::numeric as amount,
    invoice.currency,
    (history.old_values ->> 'remainder_base')::numeric
    - (history.new_values ->> 'remainder_base')::numeric as amount_base,
    (history.new_values ->> 'remainder')::numeric as remainder_after,
    invoice.customer_number,
    invoice.customer_name,
    history.sync_id
from economic.invoice_history as history
inner join economic.invoice
    on
        history.agreement_number = invoice.agreement_number
        and history.invoice_number = invoice.invoice_number
where history.new_values ? 'remainder';

create view economic.receivables_aging as
select
    overview.agreement_number,
    overview.customer_number,
    max(overview.customer_name) as customer_name,
    overview.currency,
    count(*) as invoices,
    sum(overview.remainder) as remainder,
    coalesce(
        sum(overview.remainder) filter (where overview.days_overdue is null and overview.remainder > 0), 0
    ) as not_due,
    coalesce(sum(overview.remainder) filter (where overview.days_overdue between 1 and 30), 0) as overdue_1_to_30,
    coalesce(sum(overview.remainder) filter (where overview.days_overdue between 31 and 60), 0) as overdue_31_to_60,
    coalesce(sum(overview.remainder) filter (where overview.days_overdue between 61 and 90), 0) as overdue_61_to_90,
    coalesce(sum(overview.remainder) filter (where overview.days_overdue > 90), 0) as overdue_over_90,
    coalesce(sum(overview.remainder) filter (where overview.remainder < 0), 0) as credit,
    sum(overview.remainder_base) as remainder_base
from economic.invoice_overview as overview
where overview.remainder <> 0 and overview.missing_since is null
group by overview.agreement_number, overview.customer_number, overview.currency;

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
