-- Records a page that was stored in invoice, in the page's transaction.
-- Parameters: sync_id, stored_pages, statistics, current, total, percentage, message.
update economic.sync_run
set
    phase = 'upsert',
    stored_pages = %(stored_pages)s,
    statistics = %(statistics)s,
    current = %(current)s,
    total = %(total)s,
    percentage = %(percentage)s,
    message = %(message)s,
    updated_at = clock_timestamp()
where sync_id = %(sync_id)s;
