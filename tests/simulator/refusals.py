"""Errors in the shapes the API gives them; what nobody has recorded is marked."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any

NEWER_SERVICES = "/q2capi/"  # on another host than the rest, with errors in another shape
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

    def body(self, path: str = "") -> bytes:
        """Write the error: no `errorCode` unless one was given, `logTime` without a time zone."""
        if path.startswith(NEWER_SERVICES):
            return self._problem()
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

    def _problem(self) -> bytes:
        """Write the error as the newer services do: `application/problem+json`."""
        errors = [
            {"message": reason, "errorCode": "InvalidValue", "property": str(self).split()[-1].rstrip(".")}
            for reason in self.details.get("errors", ())
        ]
        document = {
            "title": str(self),
            "status": self.status,
            "errorCode": self.details.get("errorCode", f"Status{self.status}"),
            "errors": errors,
            "traceId": f"00-{token_hex(16)}-{token_hex(8)}-00",
        }
        return json.dumps(document, ensure_ascii=False).encode()


def error_headers(path: str) -> dict[str, str]:
    """Return the headers in which an error of a path differs from another answer."""
    return {"Content-Type": "application/problem+json"} if path.startswith(NEWER_SERVICES) else {}


def bad_query(part: str, reason: str, **details: Any) -> Refusal:
    return Refusal(400, f"Could not parse query string {part}.", errors=[reason], errorCount=1, **details)
