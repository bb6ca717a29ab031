-- PostgreSQL turns an item's text into jsonb while the page is still being read, instead of when it is stored.

alter table economic.staged_invoice
add column item jsonb,
alter column raw_data set default '';

comment on column economic.staged_invoice.item is
'The item as PostgreSQL reads it; null when it cannot read one of the page, or when nothing else of it is staged.';
comment on column economic.staged_invoice.raw_data is
'The item as text, as it came, where `item` is null; empty when nothing else of it is staged.';
comment on column economic.rejected_invoice.raw_data is
'The item as it came; as jsonb spells it when nothing but the database refused it.';
