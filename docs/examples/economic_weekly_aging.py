"""A DAG that mails, each Monday, what customers owe by how long it is overdue. Copy and adapt it.

It needs the connection `smtp_default` of type SMTP, with the sender as *From email*. Sums are in
the base currency.
"""

from __future__ import annotations

from html import escape

from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.providers.smtp.operators.smtp import EmailOperator
from airflow.sdk import dag, task

RECIPIENTS = ["bookkeeping@example.com"]
AGING = """
select
    case when grouping(owed.customer_number) = 1 then 'All customers' else max(customers.customer_name) end as customer,
    owed.base_currency,
    sum(owed.remainder_base) as total,
    sum(owed.remainder_base) filter (where owed.days_overdue is null) as not_due_or_credit,
    sum(owed.remainder_base) filter (where owed.days_overdue between 1 and 30) as overdue_1_to_30,
    sum(owed.remainder_base) filter (where owed.days_overdue between 31 and 60) as overdue_31_to_60,
    sum(owed.remainder_base) filter (where owed.days_overdue between 61 and 90) as overdue_61_to_90,
    sum(owed.remainder_base) filter (where owed.days_overdue > 90) as overdue_over_90
from economic.receivables as owed
left join economic.customers using (agreement_number, customer_number)
group by owed.agreement_number, owed.base_currency, grouping sets ((), (owed.customer_number))
having grouping(owed.customer_number) = 1 or count(owed.days_overdue) > 0
order by owed.agreement_number, grouping(owed.customer_number) desc, max(owed.days_overdue) desc
"""
COLUMNS = ("Customer", "", "Total", "Not due, credit", "1 to 30 days", "31 to 60", "61 to 90", "Over 90")


@dag(schedule="0 6 * * 1", catchup=False, tags=["e-conomic"], doc_md=__doc__)
def economic_weekly_aging() -> None:
    @task
    def aging() -> str:
        lines = [f"<tr>{''.join(f'<th>{column}</th>' for column in COLUMNS)}</tr>"]
        for customer, currency, *amounts in PostgresHook("economic_postgres").get_records(AGING):
            cells = "".join(f'<td align="right">{amount or 0:,.2f}</td>' for amount in amounts)
            # Names come from invoices: in HTML they are text.
            lines.append(f"<tr><td>{escape(customer or '')}</td><td>{currency}</td>{cells}</tr>")
        return f"<table>{''.join(lines)}</table>"

    EmailOperator(
        task_id="mail",
        to=RECIPIENTS,
        subject="Receivables {{ dag_run.run_after | ds }}",
        html_content=aging(),
    )


economic_weekly_aging()
