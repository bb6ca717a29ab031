-- Lets the role economic_page read what the page in Airflow's web UI shows: results of syncs, sums
-- and rejected values, but no invoice. The page hides sums and values unless ECONOMIC_PAGE_AMOUNTS
-- is set. Use the role for a Postgres connection of Airflow's API server that is not the sync's.
-- Run by the owner of the schema, once and after each upgrade:
-- psql -f grant_page.sql; then: grant economic_page to NAME;
-- An owner without CREATEROLE needs the role beforehand: `create role economic_page nologin`.
do $$
begin
    if not exists (select 1 from pg_roles where rolname = 'economic_page') then
        create role economic_page nologin;
    end if;
end
$$;

revoke all on all tables in schema economic from economic_page;

grant usage on schema economic to economic_page;

grant select on
economic.agreement, economic.degraded_field, economic.line_reading, economic.schema_version, economic.sync_lease,
economic.sync_run, economic.sync_status
to economic_page;

grant select (
    agreement_number, item_key, invoice_number, field, reason, message, first_seen_at,
    last_seen_at, seen_count, resolved_at
) on economic.rejected_invoice to economic_page;

-- all but the amounts of each invoice and the item
grant select (
    agreement_number, invoice_number, status, difference, field, reason, message, tries, first_read_at,
    last_read_at
) on economic.line_check to economic_page;
