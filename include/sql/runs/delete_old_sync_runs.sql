-- Deletes the rows of syncs that nobody looks at any more: of a quick sync that changed nothing
-- after a day, of every other one after some days. Those that show how the copy stands are kept.
-- Parameters: agreement_number, conn_id (its syncs that never reached an agreement), days, most.
-- Returns: nothing; the row count is that of the rows deleted.
delete from economic.sync_run
where
    sync_id = any(array(
        select old.sync_id
        from economic.sync_run as old
        where
            (
                old.agreement_number = %(agreement_number)s
                or (old.agreement_number is null and old.conn_id = %(conn_id)s)
            )
            and old.finished_at < clock_timestamp() - interval '1 day'
            and (
                old.finished_at < clock_timestamp() - make_interval(days => %(days)s)
                or old.quiet
            )
        order by old.sync_id
        limit %(most)s
    ))
    and sync_id <> all(array(
        select max(kept.sync_id)
        from economic.sync_run as kept
        where
            kept.agreement_number = %(agreement_number)s
            and kept.status in ('completed', 'completed_with_errors')
        group by kept.scope, kept.complete
    ))
    and sync_id <> all(array(
        select max(kept.sync_id)
        from economic.sync_run as kept
        where
            kept.agreement_number = %(agreement_number)s
            and kept.held is not null
            and not kept.quiet
    ));
