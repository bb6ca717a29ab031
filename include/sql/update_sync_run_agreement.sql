-- Notes whose accounts a sync reads.
-- Parameters: sync_id, agreement_number.
update economic.sync_run
set agreement_number = %(agreement_number)s, phase = 'fetch', updated_at = clock_timestamp()
where sync_id = %(sync_id)s;
