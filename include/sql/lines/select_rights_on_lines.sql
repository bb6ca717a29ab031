-- Whether the role may read how lines stand: by company, and by invoice. An older grant lets it
-- not.
-- Parameters: none.
-- Returns: one row: readings, checks (null without the table).
select
    has_table_privilege(to_regclass('economic.line_reading'), 'select') as readings,
    has_column_privilege(to_regclass('economic.line_check'), 'status', 'select') as checks;
