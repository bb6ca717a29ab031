-- Binds an agreement to the connection that reached it, and keeps its name current; writes nothing when all is
-- as it was.
-- Parameters: agreement_number, conn_id, company_name, base_currency.
insert into economic.agreement as known (agreement_number, conn_id, company_name, base_currency)
values (%(agreement_number)s, %(conn_id)s, %(company_name)s, %(base_currency)s)
on conflict (agreement_number) do update
    set
        conn_id = excluded.conn_id,
        company_name = excluded.company_name,
        base_currency = excluded.base_currency
    where
    (known.conn_id, known.company_name, known.base_currency)
    is distinct from (excluded.conn_id, excluded.company_name, excluded.base_currency);
