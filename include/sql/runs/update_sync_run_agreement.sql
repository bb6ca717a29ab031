-- Notes whose accounts a sync reads, and how often its DAG run had been cleared when it was begun
-- or resumed.
-- Parameters: sync_id, agreement_number, clear_number.
update economic.sync_run
set
    agreement_number = %(agreement_number)s,
    clear_number = %(clear_number)s,
    phase = 'fetch',
    updated_at = clock_timestamp()
where sync_id = %(sync_id)s;
