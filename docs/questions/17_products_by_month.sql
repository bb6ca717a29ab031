-- How did the product with the most revenue sell in each month of this autumn?
with best as (
    select product_number
    from economic.revenue_by_product
    where month >= '2026-09-01' and product_number is not null
    group by product_number
    order by sum(revenue_base) desc
    limit 1
)

select product_number, month, invoices, quantity, revenue_base, unproven_invoices
from economic.revenue_by_product
inner join best using (product_number)
where month >= '2026-09-01'
order by month;
