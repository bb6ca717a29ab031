-- The agreement that a connection id is bound to.
-- Parameters: conn_id.
-- Returns: at most one row: agreement number, company name.
select
    agreement_number,
    company_name
from economic.agreement
where conn_id = %(conn_id)s;
