-- Lets the role economic_writer do what a sync does, without changing the tables themselves. For a
-- database role that does not own the schema. Run by the owner of the schema, after
-- `python -m economic migrate`, once and after each upgrade:
-- psql -f grant_writer.sql; then: grant economic_writer to NAME;
-- An owner without CREATEROLE needs the role beforehand: `create role economic_writer nologin`.
do $$
begin
    if not exists (select 1 from pg_roles where rolname = 'economic_writer') then
        create role economic_writer nologin;
    end if;
end
$$;

revoke all on all tables in schema economic from economic_writer;

revoke all on all functions in schema economic from economic_writer;

grant usage on schema economic to economic_writer;

-- The views and functions too: a DAG that is woken by the sync reads them through the same
-- connection.
grant select on
economic.customer_days_to_pay, economic.customers, economic.days_to_pay,
economic.invoice_lines, economic.invoice_overview, economic.invoices, economic.payments, economic.receivables,
economic.receivables_aging, economic.receivables_aging_base, economic.receivables_by_employee,
economic.receivables_by_reference,
economic.revenue_by_month, economic.revenue_by_product, economic.schema_version, economic.sync_status
to economic_writer;

grant execute on function
economic.customer_statement(bigint, bigint),
economic.days_sales_outstanding(date, bigint),
economic.in_base(numeric, text, text, numeric),
economic.receivables_as_of(date, bigint),
economic.receivables_aging_as_of(date, bigint),
economic.with_cents(numeric)
to economic_writer;

grant select, insert, update on
economic.agreement, economic.degraded_field, economic.employee, economic.invoice,
economic.line_reading, economic.rejected_invoice, economic.sync_lease, economic.sync_run
to economic_writer;

-- what once happened stays as it is written
grant select, insert on economic.invoice_history to economic_writer;

grant select, insert, delete on economic.staged_invoice, economic.invoice_line to economic_writer;

grant select, insert, update, delete on economic.line_check to economic_writer;

grant delete on economic.sync_run to economic_writer;
