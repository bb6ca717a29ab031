-- Lets the role economic_monitor run `python -m economic check` and `status`: how the syncs went, no invoice, and no
-- refused item's text. Run by the owner of the schema, once and after each upgrade: psql -f grant_monitor.sql; then:
-- grant economic_monitor to NAME;
-- An owner without the right CREATEROLE lets somebody who has it run `create role economic_monitor nologin` before.
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
economic.agreement,
economic.sync_run,
economic.sync_lease,
economic.sync_status
to economic_monitor;

grant select (
    agreement_number,
    item_key,
    invoice_number,
    field,
    reason,
    message,
    first_seen_at,
    last_seen_at,
    seen_count,
    resolved_at
) on economic.rejected_invoice to economic_monitor;
