-- Deletes the staged rows of ended syncs. Goes from one sync with staged rows to the next, by key:
-- its cost does not grow with the number of past syncs.
-- Returns: nothing; the row count is that of the rows deleted.
with recursive staged (sync_id) as (
    (
        select first_one.sync_id
        from economic.staged_invoice as first_one
        order by first_one.sync_id
        limit 1
    )
    union all
    select (
        select next_one.sync_id
        from economic.staged_invoice as next_one
        where next_one.sync_id > staged.sync_id
        order by next_one.sync_id
        limit 1
    )
    from staged
    where staged.sync_id is not null
)

delete from economic.staged_invoice
where
    sync_id = any(array(
        select run.sync_id
        from staged
        inner join economic.sync_run as run on staged.sync_id = run.sync_id
        where run.status <> 'running'
    ));
