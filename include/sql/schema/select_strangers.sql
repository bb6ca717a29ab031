-- Objects in the schema through which another role could act with the rights of this one: a table
-- or view that somebody else made before us, or a trigger, default, check, view or index that calls
-- somebody else's function. Every rule counts: ours has none. Trusted are this role, those whose
-- rights it has, superusers, the owner of the database, and, unless this role is a superuser, the
-- owner of the schema.
-- Returns: one row a thing: thing, owner.
with home as (
    select
        namespace.oid,
        namespace.nspowner,
        me.oid as me,
        me.rolsuper
    from pg_namespace as namespace
    inner join pg_roles as me on current_user = me.rolname
    where namespace.nspname = 'economic'
),

strangers as (
    select
        role.oid,
        role.rolname
    from pg_roles as role
    cross join home
    inner join pg_database as here on current_database() = here.datname
    where
        not role.rolsuper
        and role.oid not in (home.me, here.datdba)
        and (home.rolsuper or (not pg_has_role(role.oid, 'USAGE') and role.oid <> home.nspowner))
),

ours as (
    select
        class.oid,
        class.relname,
        class.relowner
    from pg_class as class
    inner join home on class.relnamespace = home.oid
    where class.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
)

select
    'schema economic' as thing,
    strangers.rolname as owner
from home
inner join strangers on home.nspowner = strangers.oid
union all
select
    'economic.' || ours.relname as thing,
    strangers.rolname as owner
from ours
inner join strangers on ours.relowner = strangers.oid
union all
select distinct
    pg_describe_object(caller.classid, caller.objid, 0) as thing,
    strangers.rolname as owner
from pg_depend as caller
inner join pg_proc as function on caller.refclassid = 'pg_proc'::regclass and caller.refobjid = function.oid
inner join strangers on function.proowner = strangers.oid
inner join pg_depend as part on caller.classid = part.classid and caller.objid = part.objid
inner join ours on part.refclassid = 'pg_class'::regclass and part.refobjid = ours.oid
union all
select
    'rule ' || rule.rulename || ' on ' || ours.relname as thing,
    null as owner
from pg_rewrite as rule
inner join ours on rule.ev_class = ours.oid
where rule.rulename <> '_RETURN'
order by thing;
