-- Whether the role may read the values of rejected invoices.
-- Returns: one row: granted.
select has_column_privilege('economic.rejected_invoice', 'message', 'select') as granted;
