-- Notes e-conomic's count of all lines, and how many are held of the same invoices.
-- Parameters: agreement_number, token, counted, held.
-- Returns: affects no row when another run has taken the place.
update economic.line_reading
set
    counted = %(counted)s,
    held = %(held)s,
    counted_at = clock_timestamp()
where agreement_number = %(agreement_number)s and token = %(token)s and attempt is not null;
