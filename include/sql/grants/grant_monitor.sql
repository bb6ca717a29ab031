-- Lets the role economic_monitor run `python -m economic check` and `status`: results of syncs,
-- without invoices, sums and rejected values. Run by the owner of the schema, once and after each
-- upgrade:
-- psql -f grant_monitor.sql; then: grant economic_monitor to NAME;
-- An owner without CREATEROLE needs the role beforehand: `create role economic_monitor nologin`.
do $$
begin
    if not exists (select 1 from pg_roles where rolname = 'economic_monitor') then
        create role economic_monitor nologin;
    end if;
end
$$;

revoke all on all tables in schema economic from economic_monitor;

grant usage on schema economic to economic_monitor;

grant select on
economic.agreement, economic.line_reading, economic.schema_version, economic.sync_lease, economic.sync_status
to economic_monitor;

-- all but totals, held and verdict
grant select (
    sync_id, dag_id, run_id, run_type, conn_id, agreement_number, scope, date_from, date_to,
    force, phase, status, percentage, current, total, message, warning, started_at, updated_at,
    finished_at, complete, reconciled, quiet, statistics
) on economic.sync_run to economic_monitor;

-- all but message and raw_data
grant select (
    agreement_number, item_key, invoice_number, field, reason, first_seen_at, last_seen_at,
    seen_count, resolved_at
) on economic.rejected_invoice to economic_monitor;

grant select (
    agreement_number, invoice_number, field, reason, first_seen_at, last_seen_at, resolved_at
) on economic.degraded_field to economic_monitor;
