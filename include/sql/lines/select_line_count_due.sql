-- Whether e-conomic's count of an agreement's lines was not compared for most of a day.
-- Parameters: agreement_number.
-- Returns: one row: due.
select
    coalesce(
        (
            select reading.counted_at < now() - interval '20 hours'
            from economic.line_reading as reading
            where reading.agreement_number = %(agreement_number)s
        ),
        true
    ) as due;
