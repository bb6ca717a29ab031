-- Makes the logins of the invoice copy, without passwords: economic_owner owns the database and
-- migrates it, economic_sync syncs, economic_web reads for the page. Run by a superuser in the
-- copy's database; then set the passwords, run `python -m economic migrate` as economic_owner, and
-- the scripts grant_writer.sql and grant_page.sql.
do $$
declare
    role text;
begin
    foreach role in array array['economic_owner', 'economic_sync', 'economic_web'] loop
        if not exists (select 1 from pg_roles where rolname = role) then
            execute format('create role %I login', role);
        end if;
    end loop;
    foreach role in array array['economic_writer', 'economic_page'] loop
        if not exists (select 1 from pg_roles where rolname = role) then
            execute format('create role %I nologin', role);
        end if;
    end loop;
    execute format('alter database %I owner to economic_owner', current_database());
end
$$;

grant economic_writer to economic_sync;

grant economic_page to economic_web;
