"""A DAG that runs when the invoice sync has created or changed invoices. Copy and adapt it.

It lists the customers who are later than they usually are: what is overdue, and whose invoices.
"""

from __future__ import annotations

from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.sdk import AssetAlias, dag, get_current_context, task

LATE = """
select
    owed.customer_number,
    customers.customer_name,
    sum(owed.remainder_base) as overdue,
    owed.base_currency,
    max(owed.days_overdue) as days_overdue,
    habit.average_days_late as usually_late,
    string_agg(distinct owed.employee_name, ', ') as employees
from economic.receivables as owed
inner join economic.customers using (agreement_number, customer_number)
left join economic.customer_days_to_pay as habit using (agreement_number, customer_number)
where owed.days_overdue > greatest(habit.average_days_late, 0)
group by
    owed.agreement_number, owed.customer_number, customers.customer_name, owed.base_currency, habit.average_days_late
order by overdue desc
limit 20
"""


@dag(schedule=AssetAlias("economic_invoices"), catchup=False, tags=["e-conomic"], doc_md=__doc__)
def economic_reminders() -> None:
    @task
    def list_late_payers() -> list[str]:
        events = get_current_context()["triggering_asset_events"]
        for happened in events.values():
            for event in happened:
                # The statistics of the sync are the event's extra.
                print(
                    f"Sync {event.extra['sync_id']}: {event.extra['created']} new, {event.extra['updated']} changed"
                )
        late = PostgresHook("economic_postgres").get_records(LATE)
        return [
            f"{number} {name}: {overdue:,.2f} {currency}, {days} days late (usually {usual or 'not known'}), {employees or 'nobody'}"
            for number, name, overdue, currency, days, usual, employees in late
        ]

    list_late_payers()


economic_reminders()
