-- What is the number of a customer whose name I know?
select customer_number, customer_name
from economic.customers
where customer_name ilike 'møllebæk%'
order by customer_number
limit 5;
