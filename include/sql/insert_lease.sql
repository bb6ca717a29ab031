-- Makes sure that an agreement has its lease row.
-- Parameters: agreement_number.
insert into economic.sync_lease (agreement_number)
values (%(agreement_number)s)
on conflict (agreement_number) do nothing;
