"""A DAG that runs when the invoice sync has created or changed invoices. Copy and adapt it.

It lists the customers with the oldest debts from the view `receivables_aging`.
"""

from __future__ import annotations

from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.sdk import AssetAlias, dag, get_current_context, task

OWED = """
select customer_number, customer_name, currency, remainder, overdue_over_90
from economic.receivables_aging
where overdue_over_90 > 0
order by overdue_over_90 desc
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
        late = PostgresHook("economic_postgres").get_records(OWED)
        return [
            f"{number} {name}: {overdue} of {owed} {currency}"
            for number, name, currency, owed, overdue in late
        ]

    list_late_payers()


economic_reminders()
