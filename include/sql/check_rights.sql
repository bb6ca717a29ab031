-- What the role of this connection may not do, of what a sync does.
-- Returns: one row a missing right: object, needed privilege.
select
    needed.object,
    needed.privilege
from (
    select
        'table economic.' || class.relname as object,
        privilege.name as privilege,
        has_table_privilege(class.oid, privilege.name) as granted
    from pg_class as class
    inner join pg_namespace as namespace on class.relnamespace = namespace.oid
    cross join (values ('SELECT'), ('INSERT'), ('UPDATE'), ('DELETE')) as privilege (name)
    where
        namespace.nspname = 'economic'
        and class.relkind = 'r'
        and class.relname <> 'schema_version'
        and (privilege.name <> 'DELETE' or class.relname = 'staged_invoice')
) as needed
where not needed.granted
order by needed.object, needed.privilege;
