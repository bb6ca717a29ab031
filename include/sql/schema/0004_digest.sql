-- An invoice that comes exactly as it was stored is known again by a digest of its text, and neither read nor compared.

alter table economic.invoice add column digest bytea;

alter table economic.staged_invoice
add column digest bytea,
add column same boolean not null default false;

-- Whoever changes a value without the digest takes the digest away: the next sync reads that invoice again and puts it
-- right.
create function economic.forget_digest() returns trigger
language plpgsql
as $$
begin
    new.digest := null;
    return new;
end
$$;

create trigger forget_digest
before update of
order_number,
invoice_date,
due_date,
currency,
exchange_rate,
net_amount,
vat_amount,
gross_amount,
remainder,
net_amount_base,
gross_amount_base,
remainder_base,
rounding_amount,
customer_number,
customer_name,
recipient_address,
recipient_zip,
recipient_city,
recipient_country,
recipient_ean,
recipient_cvr,
vat_zone_number,
subject,
external_reference,
employee_number,
vendor_employee_number,
payment_terms_number,
payment_terms_name,
payment_terms_type,
days_of_credit,
project_number,
layout_number,
pdf_url,
raw_data
on economic.invoice
for each row
when (
    new.digest is not distinct from old.digest
    and (
        new.order_number,
        new.invoice_date,
        new.due_date,
        new.currency,
        new.exchange_rate,
        new.net_amount,
        new.vat_amount,
        new.gross_amount,
        new.remainder,
        new.net_amount_base,
        new.gross_amount_base,
        new.remainder_base,
        new.rounding_amount,
        new.customer_number,
        new.customer_name,
        new.recipient_address,
        new.recipient_zip,
        new.recipient_city,
        new.recipient_country,
        new.recipient_ean,
        new.recipient_cvr,
        new.vat_zone_number,
        new.subject,
        new.external_reference,
        new.employee_number,
        new.vendor_employee_number,
        new.payment_terms_number,
        new.payment_terms_name,
        new.payment_terms_type,
        new.days_of_credit,
        new.project_number,
        new.layout_number,
        new.pdf_url,
        new.raw_data
    ) is distinct from (
        old.order_number,
        old.invoice_date,
        old.due_date,
        old.currency,
        old.exchange_rate,
        old.net_amount,
        old.vat_amount,
        old.gross_amount,
        old.remainder,
        old.net_amount_base,
        old.gross_amount_base,
        old.remainder_base,
        old.rounding_amount,
        old.customer_number,
        old.customer_name,
        old.recipient_address,
        old.recipient_zip,
        old.recipient_city,
        old.recipient_country,
        old.recipient_ean,
        old.recipient_cvr,
        old.vat_zone_number,
        old.subject,
        old.external_reference,
        old.employee_number,
        old.vendor_employee_number,
        old.payment_terms_number,
        old.payment_terms_name,
        old.payment_terms_type,
        old.days_of_credit,
        old.project_number,
        old.layout_number,
        old.pdf_url,
        old.raw_data
    )
)
execute function economic.forget_digest();

comment on column economic.invoice.digest is
'Digest of the text that the item came as, by which it is known again; null after a change by anyone but a sync.';
comment on column economic.staged_invoice.digest is 'Digest of the text that the item came as.';
comment on column economic.staged_invoice.same is
'Whether it came exactly as it is stored: then nothing else of it is staged.';
comment on function economic.forget_digest() is
'Takes the digest of an invoice away whose values were changed without it.';
