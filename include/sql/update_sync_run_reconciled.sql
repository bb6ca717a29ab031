-- Notes how the copy compares with e-conomic's totals.
-- Parameters: sync_id, reconciled, verdict, statistics.
update economic.sync_run
set
    reconciled = %(reconciled)s,
    verdict = %(verdict)s,
    statistics = %(statistics)s,
    updated_at = clock_timestamp()
where sync_id = %(sync_id)s;
