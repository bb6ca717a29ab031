-- Makes sure that an agreement has its lease row. An existing row is not touched: the insert would
-- wait for a lock on it.
-- Parameters: agreement_number.
insert into economic.sync_lease (agreement_number)
select %(agreement_number)s
where
    not exists (
        select 1
        from economic.sync_lease
        where agreement_number = %(agreement_number)s
    )
on conflict (agreement_number) do nothing;
