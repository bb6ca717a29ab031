-- Unbinds a connection id from its agreement; the agreement's rows stay.
-- Parameters: conn_id.
-- Returns: at most one row: the agreement number.
update economic.agreement
set conn_id = 'unbound:' || agreement_number
where conn_id = %(conn_id)s
returning agreement_number;
