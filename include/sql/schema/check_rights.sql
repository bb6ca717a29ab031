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
    -- somebody else's table beside them is none of a sync's business
    inner join unnest(
        array[
            'agreement',
            'degraded_field',
            'employee',
            'invoice',
            'invoice_history',
            'rejected_invoice',
            'staged_invoice',
            'sync_lease',
            'sync_run'
        ]
    ) as ours (name) on class.relname = ours.name
    cross join (values ('SELECT'), ('INSERT'), ('UPDATE'), ('DELETE')) as privilege (name)
    where
        namespace.nspname = 'economic'
        and class.relkind in ('r', 'p')
        and (privilege.name <> 'DELETE' or class.relname = 'staged_invoice')
        and (privilege.name <> 'UPDATE' or class.relname not in ('invoice_history', 'staged_invoice'))
) as needed
where not needed.granted
order by needed.object, needed.privilege;
