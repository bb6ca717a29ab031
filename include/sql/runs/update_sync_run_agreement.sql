-- Sets a sync's agreement, and how often its DAG run had been cleared.
-- Parameters: sync_id, agreement_number, clear_number.
update economic.sync_run
set
    agreement_number = %(agreement_number)s,
    clear_number = %(clear_number)s,
    phase = 'fetch',
    updated_at = clock_timestamp()
where sync_id = %(sync_id)s;
