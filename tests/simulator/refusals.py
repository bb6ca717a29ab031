"""Errors in the shapes the API gives them; what nobody has recorded is marked."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any

HINTS = {
    400: "Correct the query string; the documentation of the resource lists what is allowed.",
    401: "Send the headers X-AppSecretToken and X-AgreementGrantToken.",
    403: "The role of the application does not give access to this resource.",
    404: "Follow the links in the collection instead of building addresses.",
    405: "The method is not allowed on this resource.",
    429: "Wait until the bucket has filled again.",
}
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
        document: dict[str, Any] = {"message": str(self)}
        if "errorCode" in self.details:
            document["errorCode"] = self.details["errorCode"]
        document["developerHint"] = HINTS.get(self.status, "Contact support and name the logId.")
        document["logId"] = f"{token_hex(8)}-CPH"
        document["httpStatusCode"] = self.status
        document.update((key, value) for key, value in self.details.items() if key != "errorCode")
        document["logTime"] = datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="seconds")
        return json.dumps(document, ensure_ascii=False).encode()


def no_tokens() -> Refusal:
    return Refusal(401)


def wrong_tokens() -> Refusal:
    return Refusal(401, "Token does not correspond to a valid grant.", errorCode="E02250")


def unknown_resource() -> Refusal:
    return Refusal(404)


def page_too_large(size: int) -> Refusal:
    return Refusal(
        400, f"The page size {size} exceeds the maximum of 1000.", errorCode="E04810"
    )  # text unconfirmed


def bad_filter(reason: str, allowed: list[str]) -> Refusal:
    return Refusal(
        400,
        "Could not parse query string filter.",
        errors=[reason],
        errorCount=1,
        allowedFilteringFields=allowed,
    )


def bad_sort(reason: str) -> Refusal:
    return Refusal(400, "Could not parse query string sort parameter", errors=[reason], errorCount=1)


def bad_parameter(name: str, value: str) -> Refusal:
    return Refusal(400, f"Could not parse query string {name}.", errors=[f"'{value}' is not a valid {name}."])
