"""Errors, grouped by what the caller should do.

::

    EconomicError
    ├── RetriableError            try again later; nothing is wrong with the set-up
    │   ├── RateLimited           e-conomic asks us to slow down (429)
    │   ├── ServerFault           e-conomic failed (408, 425, 5xx)
    │   ├── ConnectionLost        no answer, a broken one, or one that took too long
    │   ├── BrokenResponse        the answer is not the JSON it should be
    │   └── DatabaseUnavailable   PostgreSQL cannot be reached just now
    ├── FatalError                stop; trying again cannot help until a person acts
    │   ├── ConfigurationError    a connection or a setting is missing or wrong
    │   ├── CredentialsRefused    e-conomic refused the tokens or the role (401, 403)
    │   ├── RequestRefused        e-conomic refused the request (other 4xx, redirects)
    │   ├── ContractChanged       the answers no longer look like booked invoices
    │   ├── AgreementMismatch     the connection reaches another company than before
    │   ├── SchemaMismatch        the database's tables are not the ones this version needs
    │   ├── ScanExpired           the invoices were read too long ago to be stored
    │   ├── LeaseLost             another sync took over; this one must write nothing more
    │   └── SyncEnded             the sync this task belongs to is over
    ├── LeaseBusy                 another sync is running; wait, skip or fail, as the run's kind asks
    └── RecordError               skip this record, keep it aside with its reason, go on with the others
"""

from __future__ import annotations

from typing import ClassVar

from economic.outside_text import bounded

_LONGEST_MESSAGE = 2000


class EconomicError(Exception):
    """Base of all errors of this package.

    :param message: what happened and where. Never holds a token. Made one harmless line, since it often quotes text from outside.
    :param hint: what a person can do about it; the class has a default.
    :param detail: what only the task's log may show: names and numbers of another company or DAG.
    """

    default_hint: ClassVar[str] = ""

    def __init__(self, message: str, *, hint: str | None = None, detail: str = "") -> None:
        self.message = bounded(message, _LONGEST_MESSAGE)
        super().__init__(self.message)
        self.hint = self.default_hint if hint is None else hint
        self.detail = bounded(detail, _LONGEST_MESSAGE)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()

    @property
    def log_text(self) -> str:
        """The text with its detail, for the task's log."""
        return " ".join(part for part in (self.message, self.detail, self.hint) if part)


class AnswerError(EconomicError):
    """What an HTTP answer told, mixed into the errors that come from one.

    :param status: HTTP status, when there was an answer.
    :param error_code: e-conomic's ``errorCode`` (often absent).
    :param log_id: e-conomic's ``logId``; its support asks for it.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        status: int | None = None,
        error_code: str | None = None,
        log_id: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.error_code = error_code
        self.log_id = log_id


class RetriableError(EconomicError):
    """Try again later.

    ``retry_after`` is the wait in seconds that the other side asked for, if it did.
    """

    retry_after: float | None = None


class RateLimited(AnswerError, RetriableError):
    """e-conomic answered 429: too many requests in its window."""

    default_hint = "The sync waits and tries again by itself."

    def __init__(self, message: str, *, retry_after: float | None = None, **answer: str | int | None) -> None:
        super().__init__(message, **answer)  # type: ignore[arg-type]  # the keywords of AnswerError
        self.retry_after = retry_after


class ServerFault(AnswerError, RetriableError):
    """e-conomic answered with a fault of its own."""

    default_hint = "If it lasts, see e-conomic's status page and give their support the logId."


class ConnectionLost(RetriableError):
    """There was no complete answer: refused, cut off, or too slow."""

    default_hint = "Check the network between Airflow and e-conomic if it lasts."


class BrokenResponse(RetriableError):
    """The answer is not the JSON document that was asked for."""

    default_hint = (
        "If it lasts, something between Airflow and e-conomic (a proxy, a login page) answers in its place."
    )


class DatabaseUnavailable(RetriableError):
    """PostgreSQL cannot be reached or broke the connection."""

    default_hint = "Check that the invoice database runs and that its connection is set up rightly."


class FatalError(EconomicError):
    """Stop: trying again cannot help until a person acts."""


class ConfigurationError(FatalError):
    """A connection, a setting or a parameter is missing or wrong."""


class CredentialsRefused(AnswerError, FatalError):
    """e-conomic refused the tokens, or the app's role is too small."""

    default_hint = (
        "Check app_secret_token and agreement_grant_token in the connection: they must be a pair, the grant must not be "
        "revoked, and the app needs the SuperUser or Sales role."
    )


class RequestRefused(AnswerError, FatalError):
    """e-conomic refused the request itself, or sent it elsewhere."""

    default_hint = "Check the base URL in the connection."


class ContractChanged(FatalError):
    """Too many items cannot be read: the answers have changed, these are not single bad invoices."""

    default_hint = "See rejected_invoice for the reasons; a newer version of this package may be needed."


class AgreementMismatch(FatalError):
    """The connection reaches another e-conomic agreement than the one its rows belong to."""


class SchemaMismatch(FatalError):
    """The tables in the database are missing, older, newer, or not ours to change."""


class ScanExpired(FatalError):
    """The invoices of this sync were read too long ago to be stored."""

    default_hint = "The next sync reads them again; clear fetch-pages with downstream to have it now."


class LeaseLost(FatalError):
    """Another sync has taken over: this one must write nothing more."""

    default_hint = "Nothing to do: the newer sync brings the copy up to date."


class SyncEnded(FatalError):
    """The sync that this task belongs to has ended."""

    default_hint = "Clear fetch-pages with downstream, or trigger a new run."


class LeaseBusy(EconomicError):
    """Another sync of the same agreement is running.

    :param holder_scope: ``full`` or ``range``: what kind of sync holds the lease.
    """

    default_hint = 'Wait for it to end, or trigger with {"force": true} to take over at once.'

    def __init__(self, message: str, *, holder_scope: str, detail: str = "") -> None:
        super().__init__(message, detail=detail)
        self.holder_scope = holder_scope


class RecordError(EconomicError):
    """One record cannot be stored.

    :param field: the field of e-conomic's item, in its own spelling (``customer.customerNumber``).
    :param reason: a short stable code for counting (``not_a_date``).
    """

    def __init__(self, message: str, *, field: str, reason: str) -> None:
        super().__init__(message)
        self.field = field
        self.reason = reason
