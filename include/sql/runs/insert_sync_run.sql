-- Inserts the row of a new sync.
-- Parameters: dag_id, run_id, run_key, clear_number, run_type, conn_id, scope, date_from, date_to,
-- force, accept_missing, message.
-- Returns: one row: the new sync id.
insert into economic.sync_run (
    dag_id,
    run_id,
    run_key,
    clear_number,
    run_type,
    conn_id,
    scope,
    date_from,
    date_to,
    force,
    accept_missing,
    message
)
values (
    %(dag_id)s,
    %(run_id)s,
    %(run_key)s,
    %(clear_number)s,
    %(run_type)s,
    %(conn_id)s,
    %(scope)s,
    %(date_from)s,
    %(date_to)s,
    %(force)s,
    %(accept_missing)s,
    %(message)s
)
returning sync_id;
