-- Whether the role may read the values of rejected invoices, and how lines stand: by company, and
-- by invoice. An older grant lets it not.
-- Returns: one row: rejected_values, line_readings, line_checks (the last two null without their
-- table).
select
    has_column_privilege('economic.rejected_invoice', 'message', 'select') as rejected_values,
    has_table_privilege(to_regclass('economic.line_reading'), 'select') as line_readings,
    has_column_privilege(to_regclass('economic.line_check'), 'status', 'select') as line_checks;
