-- Records how the copy compares with e-conomic's totals, and what it holds now.
-- Parameters: sync_id, reconciled, verdict, warning (null: none), held, statistics.
update economic.sync_run
set
    reconciled = %(reconciled)s,
    verdict = %(verdict)s,
    warning = %(warning)s,
    held = %(held)s,
    statistics = %(statistics)s,
    updated_at = clock_timestamp()
where sync_id = %(sync_id)s;
