-- Whether e-conomic's count of an agreement's lines was not compared for most of a day, or the
-- latest run did not end well: a retry with nothing else to do then says that all is well again.
-- Parameters: agreement_number.
-- Returns: one row: due.
select
    coalesce(
        (
            select
                reading.counted_at < now() - interval '20 hours'
                or reading.status not in ('completed', 'completed_with_errors')
            from economic.line_reading as reading
            where reading.agreement_number = %(agreement_number)s
        ),
        true
    ) as due;
