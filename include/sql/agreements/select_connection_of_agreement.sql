-- The connection id that an agreement is bound to.
-- Parameters: agreement_number.
-- Returns: at most one row: connection id, company name.
select
    conn_id,
    company_name
from economic.agreement
where agreement_number = %(agreement_number)s;
