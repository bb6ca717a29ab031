-- What the copy holds of an agreement, to compare with e-conomic's own totals.
-- Parameters: agreement_number.
-- Returns: one row: invoices not missing, their net sum in base currency, open rejections of this agreement.
select
    count(*) as invoice_count,
    coalesce(sum(net_amount_base), 0) as net_amount_base,
    (
        select count(*)
        from economic.rejected_invoice
        where
            rejected_invoice.agreement_number = %(agreement_number)s
            and rejected_invoice.resolved_at is null
    ) as rejected
from economic.invoice
where agreement_number = %(agreement_number)s and missing_since is null;
