-- Lets go of the connection id that an agreement is bound to; its rows stay.
-- Parameters: conn_id.
-- Returns: at most one row: the agreement number and company name.
update economic.agreement
set conn_id = 'unbound:' || agreement_number
where conn_id = %(conn_id)s
returning agreement_number, company_name;
