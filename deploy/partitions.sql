-- The partitions of an invoice table that is made partitioned: for the owner of a new database; see docs/scale.md.
-- 64 of them, by the hash of the agreement's number, so that a company's invoices are all in one.
do $$
begin
    for number in 0..63 loop
        execute format(
            'create table economic.invoice_%s partition of economic.invoice'
            ' for values with (modulus 64, remainder %s) with (fillfactor = 80)',
            number, number
        );
    end loop;
end
$$;
