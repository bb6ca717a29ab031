-- A row is about 2 kB: a tenth of a page did not always hold its new version after a payment, which then went to
-- another page and into the indexes. A fifth does. Holds for pages filled from now on, of the table or its partitions.

do $$
declare
    part regclass;
begin
    for part in
        select pg_class.oid
        from pg_class
        where
            pg_class.relkind = 'r'
            and (
                pg_class.oid = 'economic.invoice'::regclass
                or pg_class.oid in (select relid from pg_partition_tree('economic.invoice'))
            )
    loop
        execute format('alter table %s set (fillfactor = 80)', part);
    end loop;
end
$$;
