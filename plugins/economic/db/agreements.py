"""Agreements: which connection each is bound to, and how each stands.

Each function runs inside the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Sequence

from economic.db.sql import Connection, Row, one, row, rows, run
from economic.errors import AgreementMismatch
from economic.records.agreement import Agreement

_UNBOUND = "unbound:"
"""Prefix of an agreement's connection id once ``unbind`` has released it."""


def bound_agreement(connection: Connection, conn_id: str) -> int | None:
    """Return the agreement that a connection id is bound to, None when there is none."""
    found = row(connection, "select_agreement_of_connection", conn_id=conn_id)
    return None if found is None else found["agreement_number"]


def bind_agreement(connection: Connection, conn_id: str, agreement: Agreement) -> None:
    """Bind a connection id to the agreement it reached.

    :raises AgreementMismatch: one of the two is bound to another one.
    """
    bound = row(connection, "select_agreement_of_connection", conn_id=conn_id)
    if bound is not None and bound["agreement_number"] != agreement.agreement_number:
        raise AgreementMismatch(
            f"The connection {conn_id} reaches another company than its rows belong to. Nothing was written.",
            hint=(
                "Put the right tokens into the connection. If it has moved to another company on purpose, run "
                f"`python -m economic unbind {conn_id}`, or give the new company a connection id of its own."
            ),
            detail=(
                f"It reaches agreement {agreement.agreement_number} ({agreement.company_name}); its rows belong to "
                f"agreement {bound['agreement_number']} ({bound['company_name']})."
            ),
        )
    run(connection, "upsert_agreement", conn_id=conn_id, **agreement._asdict())
    holder = one(connection, "select_connection_of_agreement", agreement_number=agreement.agreement_number)
    if holder["conn_id"] != conn_id:
        raise AgreementMismatch(
            f"The connection {conn_id} reaches a company whose rows belong to another connection. Nothing was written.",
            hint=(
                f"Put the tokens of its own company into {conn_id}. If {conn_id} is to take the other one's place, run "
                "`python -m economic unbind` for that one; the task's log names it."
            ),
            detail=(
                f"It reaches agreement {agreement.agreement_number} ({agreement.company_name}), which belongs to the "
                f"connection {holder['conn_id']}."
            ),
        )


def unbind_agreement(connection: Connection, conn_id: str) -> int | None:
    """Unbind a connection id; return the agreement it was bound to, None without one."""
    found = row(connection, "update_agreement_unbound", conn_id=conn_id)
    return None if found is None else int(found["agreement_number"])


def note_complete(connection: Connection, agreement_number: int) -> None:
    """Note that a full sync proven complete ends; only the first one is recorded."""
    run(connection, "update_agreement_complete", agreement_number=agreement_number)


def statuses(connection: Connection, conn_ids: Sequence[str] | None) -> list[Row]:
    """Return the status of each connection's agreement, with ages in seconds by the database's
    clock.

    A connection that has not reached its agreement yet has a row too, without one.

    :param conn_ids: None: all that have reached one, and those that tried to lately.
    """
    wanted = None if conn_ids is None else list(conn_ids)
    return rows(connection, "select_sync_status", conn_ids=wanted)


def is_unbound(found: Row) -> bool:
    """Return whether no connection reaches this agreement any more: then it may be stale."""
    return str(found["conn_id"]).startswith(_UNBOUND)
