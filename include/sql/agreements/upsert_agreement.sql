-- Binds an agreement to the connection that reached it, and updates its name. Writes nothing when
-- nothing differs, or when the agreement is bound to another connection. The insert names no key,
-- because concurrent ones may collide on either.
-- Parameters: agreement_number, conn_id, company_name, base_currency.
-- Returns: no row.
with added as (
    insert into economic.agreement (agreement_number, conn_id, company_name, base_currency)
    values (%(agreement_number)s, %(conn_id)s, %(company_name)s, %(base_currency)s)
    on conflict do nothing
)

update economic.agreement
set
    conn_id = %(conn_id)s,
    company_name = %(company_name)s,
    base_currency = %(base_currency)s
where
    agreement_number = %(agreement_number)s
    and (conn_id = %(conn_id)s or conn_id like 'unbound:%%')
    and (conn_id, company_name, base_currency)
    is distinct from (%(conn_id)s, %(company_name)s::text, %(base_currency)s::text);
