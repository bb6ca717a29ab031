-- The lines of invoices, how far they are proven, and the views that people read of them.

-- No foreign keys: a run takes the number from the agreement's row, and checking it for each line
-- would cost a third of a first load.
create table economic.invoice_line (
    agreement_number bigint not null,
    invoice_number bigint not null,
    line_number bigint not null,
    shown_number bigint,
    product_number text,
    description text,
    quantity numeric check (quantity > '-Infinity' and quantity < 'Infinity'),
    quantity2 numeric check (quantity2 > '-Infinity' and quantity2 < 'Infinity'),
    unit_number bigint,
    unit2_number bigint,
    unit_net_price numeric check (unit_net_price > '-Infinity' and unit_net_price < 'Infinity'),
    unit_cost_price numeric check (unit_cost_price > '-Infinity' and unit_cost_price < 'Infinity'),
    recommended_price numeric check (recommended_price > '-Infinity' and recommended_price < 'Infinity'),
    discount_percentage numeric check (discount_percentage > '-Infinity' and discount_percentage < 'Infinity'),
    vat_rate numeric check (vat_rate > '-Infinity' and vat_rate < 'Infinity'),
    vat_amount numeric check (vat_amount > '-Infinity' and vat_amount < 'Infinity'),
    net_amount numeric check (net_amount > '-Infinity' and net_amount < 'Infinity'),
    department_number bigint,
    booked_account bigint,
    project_close_account bigint,
    accrue boolean,
    accrue_start_date date,
    accrue_end_date date,
    raw_data jsonb not null,
    primary key (agreement_number, invoice_number, line_number)
);

create table economic.line_check (
    agreement_number bigint not null,
    invoice_number bigint not null,
    status text not null check (status in ('proven', 'differing', 'rejected')),
    line_count bigint not null,
    lines_net_amount numeric not null,
    invoice_net_amount numeric not null,
    difference numeric generated always as (lines_net_amount - invoice_net_amount) stored,
    field text,
    reason text,
    message text,
    rejected_item text,
    tries integer not null default 1,
    first_read_at timestamptz not null default now(),
    last_read_at timestamptz not null default now(),
    primary key (agreement_number, invoice_number)
);

-- What is not proven is few, and looked for after each sync with changes.
create index line_check_unproven on economic.line_check (agreement_number, invoice_number)
where status <> 'proven';

create table economic.line_reading (
    agreement_number bigint primary key references economic.agreement (agreement_number),
    token bigint not null default 0,
    attempt text,
    expires_at timestamptz,
    status text not null default 'completed'
    check (status in ('running', 'completed', 'completed_with_errors', 'failed', 'skipped')),
    message text not null default '',
    current bigint not null default 0,
    total bigint not null default 0,
    proven bigint not null default 0,
    differing bigint not null default 0,
    rejected bigint not null default 0,
    started_at timestamptz,
    updated_at timestamptz,
    finished_at timestamptz,
    completed_at timestamptz,
    counted bigint,
    held bigint,
    counted_at timestamptz,
    statistics jsonb not null default '{}'
);

create view economic.invoice_lines as
select
    line.agreement_number,
    line.invoice_number,
    line.line_number,
    line.shown_number,
    overview.invoice_date,
    overview.is_credit_note,
    overview.customer_number,
    overview.customer_name,
    overview.employee_number,
    overview.employee_name,
    overview.external_reference,
    line.product_number,
    line.description,
    line.quantity,
    line.unit_number,
    line.quantity2,
    line.unit2_number,
    overview.currency,
    line.unit_net_price,
    line.unit_cost_price,
    line.recommended_price,
    line.discount_percentage,
    line.net_amount,
    line.vat_rate,
    line.vat_amount,
    overview.base_currency,
    economic.in_base(line.net_amount, overview.currency, overview.base_currency, overview.exchange_rate)
        as net_amount_base,
    economic.in_base(
        line.quantity * line.unit_cost_price, overview.currency, overview.base_currency, overview.exchange_rate
    ) as cost_base,
    line.department_number,
    line.booked_account,
    line.project_close_account,
    line.accrue,
    line.accrue_start_date,
    line.accrue_end_date,
    (checked.status = 'proven' and round(checked.lines_net_amount, 2) = round(overview.net_amount, 2)) as proven
from economic.invoice_line as line
inner join economic.line_check as checked
    on
        line.agreement_number = checked.agreement_number
        and line.invoice_number = checked.invoice_number
inner join economic.invoice_overview as overview
    on
        line.agreement_number = overview.agreement_number
        and line.invoice_number = overview.invoice_number
where overview.missing_since is null;

create view economic.revenue_by_product as
select
    lines.agreement_number,
    date_trunc('month', lines.invoice_date)::date as month,
    lines.product_number,
    (array_agg(lines.description order by lines.invoice_number desc, lines.line_number desc))[1] as description,
    lines.base_currency,
    count(distinct lines.invoice_number) as invoices,
    sum(lines.quantity) as quantity,
    coalesce(sum(lines.net_amount_base) filter (where not lines.is_credit_note), 0) as invoiced_base,
    coalesce(sum(lines.net_amount_base) filter (where lines.is_credit_note), 0) as credited_base,
    coalesce(sum(lines.net_amount_base), 0) as revenue_base,
    count(*) filter (where lines.net_amount_base is null) as without_base,
    count(distinct lines.invoice_number) filter (where lines.proven is not true) as unproven_invoices
from economic.invoice_lines as lines
where lines.net_amount is not null
group by lines.agreement_number, date_trunc('month', lines.invoice_date), lines.product_number, lines.base_currency;

comment on table economic.invoice_line is
'Lines of booked invoices, as e-conomic returns them. Amounts are in the invoice''s currency.';
comment on column economic.invoice_line.agreement_number is 'The e-conomic agreement.';
comment on column economic.invoice_line.invoice_number is 'The booked invoice (documentId).';
comment on column economic.invoice_line.line_number is 'e-conomic''s number of the line (number).';
comment on column economic.invoice_line.shown_number is '1, 2, 3 ... as the invoice shows it (userInterfaceNumber).';
comment on column economic.invoice_line.product_number is 'The product; null for text lines.';
comment on column economic.invoice_line.description is 'The text of the line.';
comment on column economic.invoice_line.quantity is 'How much was sold.';
comment on column economic.invoice_line.quantity2 is 'The quantity in the second unit.';
comment on column economic.invoice_line.unit_number is 'The unit of quantity.';
comment on column economic.invoice_line.unit2_number is 'The unit of quantity2.';
comment on column economic.invoice_line.unit_net_price is 'Price of one unit without VAT.';
comment on column economic.invoice_line.unit_cost_price is 'Cost of one unit.';
comment on column economic.invoice_line.recommended_price is 'The product''s recommended price.';
comment on column economic.invoice_line.discount_percentage is 'Discount in per cent.';
comment on column economic.invoice_line.vat_rate is 'VAT rate in per cent.';
comment on column economic.invoice_line.vat_amount is 'VAT of the line; null for text lines.';
comment on column economic.invoice_line.net_amount is 'Amount without VAT (totalNetAmount); null for text lines.';
comment on column economic.invoice_line.department_number is 'The department.';
comment on column economic.invoice_line.booked_account is 'The account the line was booked on.';
comment on column economic.invoice_line.project_close_account is 'The account of the project''s closing.';
comment on column economic.invoice_line.accrue is 'Whether the amount is spread over a period.';
comment on column economic.invoice_line.accrue_start_date is 'First day of that period.';
comment on column economic.invoice_line.accrue_end_date is 'Last day of that period.';
comment on column economic.invoice_line.raw_data is 'The item as e-conomic returned it.';

comment on table economic.line_check is
'How the lines of each invoice stand. An invoice without a row was not read.';
comment on column economic.line_check.agreement_number is 'The e-conomic agreement.';
comment on column economic.line_check.invoice_number is 'The booked invoice.';
comment on column economic.line_check.status is
'proven: the lines add up to the net amount; differing: they do not; rejected: a line cannot be stored.';
comment on column economic.line_check.line_count is 'Lines that e-conomic returned, rejected ones included.';
comment on column economic.line_check.lines_net_amount is 'Sum of the stored lines.';
comment on column economic.line_check.invoice_net_amount is 'The invoice''s net amount when its lines were read.';
comment on column economic.line_check.difference is 'By how much the lines exceed the net amount.';
comment on column economic.line_check.field is 'Of a rejected line: the unusable field, in e-conomic''s spelling.';
comment on column economic.line_check.reason is 'Of a rejected line: a short code.';
comment on column economic.line_check.message is 'Of a rejected line: what is wrong.';
comment on column economic.line_check.rejected_item is 'The first rejected line as e-conomic returned it.';
comment on column economic.line_check.tries is 'How often the lines were read.';
comment on column economic.line_check.first_read_at is
'When they were read first, or stopped to add up: the week of daily readings begins then.';
comment on column economic.line_check.last_read_at is
'When they were read last. Unproven ones are read again daily for a week.';

comment on table economic.line_reading is
'One row an agreement: the run that reads lines now or read them last, and e-conomic''s count of all lines.';
comment on column economic.line_reading.agreement_number is 'The e-conomic agreement.';
comment on column economic.line_reading.token is 'Grows with each run. A run with an older one can write nothing.';
comment on column economic.line_reading.attempt is 'The task attempt at work; null when none is.';
comment on column economic.line_reading.expires_at is 'Until when it holds its place without a further commit.';
comment on column economic.line_reading.status is 'How the latest run stands or ended.';
comment on column economic.line_reading.message is 'What happens now, or how it ended.';
comment on column economic.line_reading.current is 'Invoices of this run that were read.';
comment on column economic.line_reading.total is 'Invoices that this run reads.';
comment on column economic.line_reading.proven is 'Invoices whose lines add up.';
comment on column economic.line_reading.differing is 'Invoices whose lines do not add up.';
comment on column economic.line_reading.rejected is 'Invoices with a line that cannot be stored.';
comment on column economic.line_reading.started_at is 'When the latest run that had something to do began.';
comment on column economic.line_reading.updated_at is 'Its last commit.';
comment on column economic.line_reading.finished_at is 'When it ended; null while it runs.';
comment on column economic.line_reading.completed_at is 'When the newest run began that ended well.';
comment on column economic.line_reading.counted is 'Lines that e-conomic counted, of the invoices that are held.';
comment on column economic.line_reading.held is 'Lines that were held then; the copy is complete when both are equal.';
comment on column economic.line_reading.counted_at is 'When they were compared.';
comment on column economic.line_reading.statistics is 'Counts of the latest run: lines, invoices, requests.';

comment on view economic.invoice_lines is
'Lines of invoices, with the invoice''s date, customer and employee. Missing invoices are left out. Empty unless '
'ECONOMIC_LINES is set.';
comment on column economic.invoice_lines.net_amount_base is
'net_amount in the base currency by the invoice''s exchange rate; null without one.';
comment on column economic.invoice_lines.cost_base is 'quantity times unit_cost_price, likewise.';
comment on column economic.invoice_lines.proven is 'Whether the lines of the invoice add up to its net amount.';
comment on view economic.revenue_by_product is
'Net amounts by product and month of the invoice date, in the base currency, credit notes apart. Lines without a '
'product are together, text lines left out.';
comment on column economic.revenue_by_product.month is 'First day of the month of the invoice date; null without one.';
comment on column economic.revenue_by_product.description is 'The text of the product''s newest line in that month.';
comment on column economic.revenue_by_product.invoices is 'Number of invoices and credit notes.';
comment on column economic.revenue_by_product.quantity is 'Sum of the quantities; credit notes subtract.';
comment on column economic.revenue_by_product.invoiced_base is 'Net sum of the lines of invoices.';
comment on column economic.revenue_by_product.credited_base is 'Net sum of the lines of credit notes; negative.';
comment on column economic.revenue_by_product.revenue_base is 'Both together.';
comment on column economic.revenue_by_product.without_base is
'Lines left out of the sums: their invoice has no exchange rate.';
comment on column economic.revenue_by_product.unproven_invoices is 'Invoices among them whose lines are not proven.';

-- A column without a comment means the same as one of that name elsewhere: copy its comment.
do $$
declare
    target record;
begin
    for target in
        select distinct on (attribute.attrelid, attribute.attnum)
            attribute.attrelid::regclass as relation,
            attribute.attname as name,
            col_description(source.attrelid, source.attnum) as description
        from pg_attribute as attribute
        cross join unnest('{invoice_line,invoice_overview}'::text[]) with ordinality as origin (name, rank)
        inner join pg_attribute as source
            on
                source.attrelid = format('economic.%I', origin.name)::regclass
                and attribute.attname = source.attname
                and col_description(source.attrelid, source.attnum) is not null
        where
            attribute.attrelid in ('economic.invoice_lines'::regclass, 'economic.revenue_by_product'::regclass)
            and attribute.attnum > 0
            and col_description(attribute.attrelid, attribute.attnum) is null
        order by attribute.attrelid, attribute.attnum, origin.rank
    loop
        execute format('comment on column %s.%I is %L', target.relation, target.name, target.description);
    end loop;
end
$$;
