-- Whether the role may read what a rejected invoice came with.
-- Returns: one row: granted.
select has_column_privilege('economic.rejected_invoice', 'message', 'select') as granted;
