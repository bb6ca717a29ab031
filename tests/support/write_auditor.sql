-- What the referee notes: see referee.py. The name of the product's connections is the same for all of them, so the
-- number of the session is added to it.
create schema referee;

create table referee.note (
    at bigint generated always as identity primary key,
    noted_at timestamptz not null default clock_timestamp(),
    transaction xid8 not null default pg_current_xact_id(),
    who text not null default current_setting('application_name')
    || case
        when current_setting('application_name') = 'airflow-provider-economic' then ' ' || pg_backend_pid()
        else ''
    end,
    what text not null,
    sync_id bigint,
    token bigint
);

create function referee.note_lease() returns trigger language plpgsql as $$ begin
    insert into referee.note (what, sync_id, token) values ('lease', new.holder, new.token);
    return null;
end $$;

-- Not when only its expiry is moved, which is how tests let time pass.
create trigger referee_lease after update on economic.sync_lease
for each row
when ((old.holder, old.token, old.heartbeat_at) is distinct from (new.holder, new.token, new.heartbeat_at))
execute function referee.note_lease();

create function referee.note_staged() returns trigger language plpgsql as $$ begin
    insert into referee.note (what, sync_id)
    select distinct 'staged_invoice', staged.sync_id from staged;
    return null;
end $$;

create trigger referee_staged after insert on economic.staged_invoice
referencing new table as staged
for each statement execute function referee.note_staged();

create function referee.note_progress() returns trigger language plpgsql as $$ begin
    insert into referee.note (what, sync_id) values ('progress', new.sync_id);
    return null;
end $$;

-- A row that is closed, or that waits, is written without the lease too.
create trigger referee_progress after update on economic.sync_run
for each row
when (old.status = 'running' and new.phase <> 'ended' and old.statistics is distinct from new.statistics)
execute function referee.note_progress();

create function referee.note_write() returns trigger language plpgsql as $$ begin
    insert into referee.note (what) values (tg_table_name);
    return null;
end $$;

do $$
declare
    watched text;
begin
    foreach watched in array array['invoice', 'invoice_history', 'employee', 'rejected_invoice'] loop
        execute format(
            'create trigger referee_write after insert or update or delete on economic.%I'
            ' for each statement execute function referee.note_write()', watched
        );
    end loop;
end $$;

grant usage on schema referee to public;

grant select, insert on referee.note to public;
