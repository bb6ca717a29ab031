-- Which products brought in most this autumn, and what did they cost?
-- Lines are there where ECONOMIC_LINES is set. Credit notes subtract.
select product_number, sum(quantity) as quantity, sum(net_amount_base) as revenue_base, sum(cost_base) as cost_base
from economic.invoice_lines
where invoice_date between '2026-09-01' and '2026-11-30' and product_number is not null
group by product_number
order by revenue_base desc
limit 5;
