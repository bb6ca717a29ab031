-- Lets the role economic_writer do what a sync does, and nothing to the tables themselves: for a database role that may
-- not own the schema. Run by the owner of the schema, after `python -m economic migrate`, once and after each upgrade:
-- psql -f grant_writer.sql; then: grant economic_writer to NAME;
-- An owner without the right CREATEROLE lets somebody who has it run `create role economic_writer nologin` before.
do $$
begin
    if not exists (select 1 from pg_roles where rolname = 'economic_writer') then
        create role economic_writer nologin;
    end if;
end
$$;

grant usage on schema economic to economic_writer;

grant select, insert, update on all tables in schema economic to economic_writer;

revoke insert, update on economic.schema_version from economic_writer;

grant delete on economic.staged_invoice to economic_writer;
