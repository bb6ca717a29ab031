-- Customers with something overdue, and how late they usually are.
select
    owed.agreement_number,
    owed.customer_number,
    customers.customer_name,
    owed.base_currency,
    sum(owed.remainder_base) as overdue_base,
    max(owed.days_overdue) as most_days_overdue,
    habit.average_days_late
from {{ source('economic', 'receivables') }} as owed
inner join {{ source('economic', 'customers') }} as customers using (agreement_number, customer_number)
left join {{ source('economic', 'customer_days_to_pay') }} as habit using (agreement_number, customer_number)
where owed.days_overdue > 0
group by
    owed.agreement_number, owed.customer_number, customers.customer_name, owed.base_currency, habit.average_days_late
