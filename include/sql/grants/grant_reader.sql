-- Lets the role economic_reader read the views and call the functions that answer questions, and
-- nothing else. Run by the owner of the schema, once and after each upgrade:
-- psql -f grant_reader.sql; then for each person or tool: grant economic_reader to NAME;
-- An owner without CREATEROLE needs the role beforehand: `create role economic_reader nologin`.
do $$
begin
    if not exists (select 1 from pg_roles where rolname = 'economic_reader') then
        create role economic_reader nologin;
    end if;
end
$$;

revoke all on all tables in schema economic from economic_reader;

revoke all on all functions in schema economic from economic_reader;

grant usage on schema economic to economic_reader;

grant select on
economic.customer_days_to_pay, economic.customers, economic.days_to_pay,
economic.invoice_lines, economic.invoice_overview, economic.invoices, economic.payments, economic.receivables,
economic.receivables_aging, economic.receivables_aging_base, economic.receivables_by_employee,
economic.receivables_by_reference,
economic.revenue_by_month, economic.revenue_by_product, economic.sync_status
to economic_reader;

grant execute on function
economic.customer_statement(bigint, bigint),
economic.days_sales_outstanding(date, bigint),
economic.in_base(numeric, text, text, numeric),
economic.receivables_as_of(date, bigint),
economic.receivables_aging_as_of(date, bigint)
to economic_reader;
