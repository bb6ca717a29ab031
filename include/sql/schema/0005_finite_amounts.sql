-- Amounts are finite: numeric takes infinity as well as NaN, and either would poison every sum.

alter table economic.invoice
drop constraint invoice_exchange_rate_check,
drop constraint invoice_net_amount_check,
drop constraint invoice_vat_amount_check,
drop constraint invoice_gross_amount_check,
drop constraint invoice_remainder_check,
drop constraint invoice_net_amount_base_check,
drop constraint invoice_gross_amount_base_check,
drop constraint invoice_remainder_base_check,
drop constraint invoice_rounding_amount_check,
add constraint invoice_exchange_rate_finite
check (exchange_rate > '-Infinity' and exchange_rate < 'Infinity'),
add constraint invoice_net_amount_finite
check (net_amount > '-Infinity' and net_amount < 'Infinity'),
add constraint invoice_vat_amount_finite
check (vat_amount > '-Infinity' and vat_amount < 'Infinity'),
add constraint invoice_gross_amount_finite
check (gross_amount > '-Infinity' and gross_amount < 'Infinity'),
add constraint invoice_remainder_finite
check (remainder > '-Infinity' and remainder < 'Infinity'),
add constraint invoice_net_amount_base_finite
check (net_amount_base > '-Infinity' and net_amount_base < 'Infinity'),
add constraint invoice_gross_amount_base_finite
check (gross_amount_base > '-Infinity' and gross_amount_base < 'Infinity'),
add constraint invoice_remainder_base_finite
check (remainder_base > '-Infinity' and remainder_base < 'Infinity'),
add constraint invoice_rounding_amount_finite
check (rounding_amount > '-Infinity' and rounding_amount < 'Infinity');
