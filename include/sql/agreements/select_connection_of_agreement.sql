-- The connection id that an agreement is bound to.
-- Parameters: agreement_number.
-- Returns: at most one row: connection id.
select conn_id
from economic.agreement
where agreement_number = %(agreement_number)s;
