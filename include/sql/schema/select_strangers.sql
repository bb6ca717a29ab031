-- Objects in the schema through which another role could act with the rights of this one: a table
-- or view that somebody else made before us, or a trigger, default or check that calls somebody
-- else's function. Every rule counts: ours has none. Trusted are this role, those whose rights it
-- has, superusers, the owner of the database, and, unless this role is a superuser, the owner of
-- the schema.
-- Returns: one row a thing: thing, owner.
with me as (
    select
        role.oid,
        role.rolsuper
    from pg_roles as role
    where role.rolname = current_user
),

home as (
    select
        namespace.oid,
        namespace.nspowner
    from pg_namespace as namespace
    where namespace.nspname = 'economic'
),

strangers as (
    select
        role.oid,
        role.rolname
    from pg_roles as role
    cross join me
    cross join home
    inner join pg_database as here on current_database() = here.datname
    where
        not role.rolsuper
        and role.oid not in (me.oid, here.datdba)
        and (me.rolsuper or (not pg_has_role(role.oid, 'USAGE') and role.oid <> home.nspowner))
),

ours as (
    select
        class.oid,
        class.relname,
        class.relowner,
        class.relkind
    from pg_class as class
    inner join home on class.relnamespace = home.oid
    where class.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
),

called as (
    select
        'trigger ' || trigger.tgname || ' on ' || ours.relname as thing,
        trigger.tgfoid as function
    from pg_trigger as trigger
    inner join ours on trigger.tgrelid = ours.oid
    where not trigger.tgisinternal
    union all
    select
        'default on ' || ours.relname as thing,
        depend.refobjid as function
    from pg_attrdef as attribute_default
    inner join ours on attribute_default.adrelid = ours.oid
    inner join pg_depend as depend
        on
            depend.classid = 'pg_attrdef'::regclass and attribute_default.oid = depend.objid
            and depend.refclassid = 'pg_proc'::regclass
    union all
    select
        'constraint ' || check_constraint.conname || ' on ' || ours.relname as thing,
        depend.refobjid as function
    from pg_constraint as check_constraint
    inner join ours on check_constraint.conrelid = ours.oid
    inner join pg_depend as depend
        on
            depend.classid = 'pg_constraint'::regclass and check_constraint.oid = depend.objid
            and depend.refclassid = 'pg_proc'::regclass
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
select
    called.thing,
    strangers.rolname as owner
from called
inner join pg_proc as function on called.function = function.oid
inner join strangers on function.proowner = strangers.oid
union all
select
    'rule ' || rule.rulename || ' on ' || ours.relname as thing,
    null as owner
from pg_rewrite as rule
inner join ours on rule.ev_class = ours.oid
where rule.rulename <> '_RETURN'
order by thing;
