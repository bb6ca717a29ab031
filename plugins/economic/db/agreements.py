"""Agreements: which connection each is bound to, and how each stands.

Each function runs inside the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from economic.db.sql import Connection, Row, one, row, rows, run
from economic.errors import AgreementMismatch
from economic.records.agreement import Agreement

LINES_LATE_AFTER = timedelta(days=2)
"""How old the latest reading of lines may be. Without changes it is up to 44 hours: the net runs
daily, and compares counts that are older than 20 hours.
"""
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

    A connection that has not reached its agreement yet has a row too, without one. In each row
    ``lines`` is how the lines of the invoices stand (None: none was ever read), and
    ``lines_granted`` whether the role may read that.

    :param conn_ids: None: all that have reached one, and those that tried to lately.
    """
    wanted = None if conn_ids is None else list(conn_ids)
    found = rows(connection, "select_sync_status", conn_ids=wanted)
    # Neither is granted by an older grant script, nor there in tables of an older version.
    granted = one(connection, "select_rights")["line_readings"]
    numbers = [each["agreement_number"] for each in found if each["agreement_number"] is not None]
    readings = rows(connection, "select_line_status", agreement_numbers=numbers) if granted else []
    by_number = {reading["agreement_number"]: reading for reading in readings}
    for each in found:
        each["lines"] = lines = by_number.get(each["agreement_number"])
        if lines is not None:
            held, read = each["invoices"] or 0, lines["proven"] + lines["differing"] + lines["rejected"]
            # Missing invoices are forgotten once a day only.
            lines |= {"invoices": held, "proven": min(lines["proven"], held), "unread": max(held - read, 0)}
        each["lines_granted"] = granted is not False
    return found


def is_unbound(found: Row) -> bool:
    """Return whether no connection reaches this agreement any more: then it may be stale."""
    return str(found["conn_id"]).startswith(_UNBOUND)


def latest_syncs(connection: Connection, agreement_number: int | None, conn_id: str, most: int) -> list[Row]:
    """Return an agreement's latest syncs, newest first, with its connection's that never reached
    one; quick syncs that changed nothing are left out.
    """
    return rows(
        connection,
        "select_latest_sync_runs",
        agreement_number=agreement_number,
        conn_id=conn_id,
        most=most,
    )


class Usage(NamedTuple):
    """What an agreement's syncs of the last 24 hours used of e-conomic.

    :param window_used: the most that was used of its window of calls, by everybody with the tokens.
    :param window_limit: calls allowed in a window; 0 when e-conomic did not tell.
    """

    requests: int
    window_used: int
    window_limit: int


def usage_of_day(connection: Connection, agreement_number: int | None) -> Usage:
    """Return what an agreement's syncs used that began within the last 24 hours."""
    return Usage(**one(connection, "select_usage_of_day", agreement_number=agreement_number))


def is_unproven(found: Row, prefix: str = "") -> bool:
    """Return whether a sync is a quick one that could not prove the copy.

    That says nothing against the copy, which stands as the last proven sync has left it, or newer.

    :param prefix: of the sync's columns.
    """
    return bool(
        found[f"{prefix}scope"] == "quick"
        and found[f"{prefix}status"] == "completed_with_errors"
        and not found[f"{prefix}complete"]
    )
