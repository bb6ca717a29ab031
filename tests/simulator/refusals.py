"""Errors in the shapes the API gives them; what nobody has recorded is marked."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any

# The texts for 400, 401 and 404 are recorded; for the others only the shape is expected to be the same.
MESSAGES = {
    401: "Unauthorized access (Unauthorized).",
    403: "Access forbidden.",
    404: "Resource not found.",
    405: "Method not allowed.",
    429: "Too many requests.",
    500: "Internal server error.",
}


class Refusal(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, message: str | None = None, **details: Any) -> None:
        super().__init__(message or MESSAGES.get(status, "Unexpected error."))
        self.status, self.details = status, details

    def body(self) -> bytes:
        """Write the error: no `errorCode` unless one was given, `logTime` without a time zone."""
        details = dict(self.details)
        code = {"errorCode": details.pop("errorCode")} if "errorCode" in details else {}
        document = {
            "message": str(self),
            **code,
            "developerHint": "Contact support and name the logId.",
            "logId": f"{token_hex(8)}-CPH",
            "httpStatusCode": self.status,
            **details,
            "logTime": datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="seconds"),
        }
        return json.dumps(document, ensure_ascii=False).encode()


def bad_query(part: str, reason: str, **details: Any) -> Refusal:
    return Refusal(400, f"Could not parse query string {part}.", errors=[reason], errorCount=1, **details)
