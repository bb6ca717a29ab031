-- Which salesperson's customers are late?
select coalesce(employee_name, 'nobody') as salesperson, customers, overdue_invoices, remainder_base, overdue_base
from economic.receivables_by_employee
order by overdue_base desc
limit 5;
