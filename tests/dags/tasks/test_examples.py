"""The DAGs of docs/examples, run by the real Airflow on a synced copy; mail goes to a real SMTP server."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from dev.local.ports import LOOPBACK, free_port
from tests.conftest import DefineConnection
from tests.dags.tasks.conftest import Dag

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"

BUNDLE = {
    "name": "examples",
    "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
    "kwargs": {"path": str(EXAMPLES)},
}


class Inbox:
    """Keeps every message that the SMTP server takes."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        message = message_from_bytes(envelope.content or b"", policy=policy.default)  # type: ignore[arg-type]
        assert isinstance(message, EmailMessage)
        self.messages.append(message)
        return "250 OK"


@pytest.fixture
def inbox(define_connection: DefineConnection) -> Iterator[Inbox]:
    """The messages to the server of the connection `smtp_default`."""
    kept = Inbox()
    server = Controller(kept, hostname=LOOPBACK, port=free_port())
    server.start()
    extra = {"from_email": "airflow@example.com", "disable_ssl": True, "disable_tls": True}
    define_connection("smtp_default", conn_type="smtp", host=LOOPBACK, port=server.port, extra=extra)
    yield kept
    server.stop()


def run(name: str) -> dict[str, Any]:
    """Run an example to its success; return what its tasks returned."""
    from airflow.dag_processing.dagbag import DagBag

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", json.dumps([BUNDLE]))
        bag = DagBag(str(EXAMPLES))
        assert bag.import_errors == {}
        finished = bag.dags[name].test()
    assert finished.state == "success"
    return {ti.task_id: ti.xcom_pull(task_ids=ti.task_id) for ti in finished.get_task_instances()}


def test_weekly_mail_shows_what_is_owed(dag: Dag, inbox: Inbox) -> None:
    number = max(one for one, item in dag.books.ledger.items().items() if item["remainder"] > 0)
    dag.books.spoil(number, "recipient.name", value="Sharp & <b>Sons</b>")
    dag.books.spoil(number, "dueDate", value="2026-01-01")
    assert dag.run().state == "success"
    run("economic_weekly_aging")
    (message,) = inbox.messages
    assert (message["To"], message["From"]) == ("bookkeeping@example.com", "airflow@example.com")
    assert re.fullmatch(r"Receivables \d{4}-\d\d-\d\d", message["Subject"])
    (part,) = message.iter_parts()
    assert isinstance(part, EmailMessage)
    rows = re.findall("<tr><td>(.*?)</td><td>DKK</td>(.*?)</tr>", part.get_content())
    amounts = [
        [Decimal(cell.replace(",", "")) for cell in re.findall(r">([\d.,-]+)<", cells)] for _, cells in rows
    ]
    assert rows[0][0] == "All customers"
    assert "Sharp &amp; &lt;b&gt;Sons&lt;/b&gt;" in {name for name, _ in rows}
    assert (
        amounts[0][0] == dag.rows("select sum(remainder_base) as owed from economic.receivables")[0]["owed"]
    )
    for total, *parts in amounts:
        assert total == sum(parts)


def test_reminders_name_who_is_later_than_usual(dag: Dag) -> None:
    assert dag.run().state == "success"
    late = run("economic_reminders")["list_late_payers"]
    assert (
        len(late)
        == dag.rows(
            "select count(distinct customer_number) as late from economic.receivables where days_overdue > 0"
        )[0]["late"]
        > 0
    )
    owed = dag.rows(
        "select max(overdue) as overdue from (select sum(remainder_base) as overdue from economic.receivables"
        " where days_overdue > 0 group by customer_number) as each"
    )[0]["overdue"]
    assert f": {owed:,.2f} DKK, " in late[0]
    number = int(late[0].split()[0])
    dag.connection.execute(
        "insert into economic.invoice_history (agreement_number, invoice_number, changed_at, sync_id, old_values, new_values)"
        " select agreement_number, invoice_number, due_date + interval '9 years', 1, '{}', '{\"remainder\": 0}'"
        " from economic.invoice where customer_number = %s and remainder = 0 and gross_amount > 0 and due_date is not null",
        (number,),
    )
    dag.connection.commit()
    assert not [
        line for line in run("economic_reminders")["list_late_payers"] if line.startswith(f"{number} ")
    ]
