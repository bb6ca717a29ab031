"""Errors, grouped by what the caller should do.

::

    EconomicError
    ├── RetriableError            retry later; nothing is wrong with the set-up
    │   ├── RateLimited           e-conomic asks for fewer requests (429)
    │   ├── ServerFault           e-conomic failed (408, 425, 5xx)
    │   ├── ConnectionLost        no answer, a broken one, or one that took too long
    │   ├── BrokenResponse        the answer is not the JSON it should be
    │   └── DatabaseUnavailable   PostgreSQL cannot be reached at present
    ├── FatalError                stop; a retry cannot help until a person acts
    │   ├── ConfigurationError    a connection or a setting is missing or wrong
    │   ├── CredentialsRefused    e-conomic rejected the tokens or the role (401, 403)
    │   │   └── LinesForbidden    the app may not read invoice lines (403); the rest works
    │   ├── RequestRefused        e-conomic rejected the request (other 4xx, redirects)
    │   │   └── LinesNotFound     there is no service of lines in this version (404)
    │   ├── ContractChanged       the answers no longer look like booked invoices
    │   ├── AgreementMismatch     the connection reaches another company than before
    │   ├── SchemaMismatch        the tables are not the ones that this version needs
    │   ├── ScanExpired           the invoices were read too long ago to be stored
    │   ├── LeaseLost             another sync took over; this one must write nothing more
    │   └── SyncEnded             the sync that this task belongs to has ended
    ├── LeaseBusy                 another sync is running; wait, skip or fail, by the run's kind
    ├── SyncSkipped               nothing can be done now; a later sync can
    └── RecordError               reject this record with its reason and go on with the others
"""

from __future__ import annotations

from typing import ClassVar

from economic.outside_text import bounded

_LONGEST_MESSAGE = 2000


class EconomicError(Exception):
    """Base of all errors of this package.

    :param message: what happened and where. It never holds a token. It is made one harmless line,
        because it often quotes text from outside.
    :param hint: what a person can do about it; the class has a default.
    :param detail: what only the task's log may show, such as another company's or DAG's name.
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


class RetriableError(EconomicError):
    """Retry later.

    ``retry_after`` is the wait in seconds that the server asked for, if it did.
    """

    retry_after: float | None = None


class RateLimited(RetriableError):
    default_hint = "The sync waits and retries by itself."


class ServerFault(RetriableError):
    default_hint = "If it lasts, see e-conomic's status page and give their support the logId."


class ConnectionLost(RetriableError):
    default_hint = "If it lasts, check the network between Airflow and e-conomic."


class BrokenResponse(RetriableError):
    default_hint = "If it lasts, a proxy, a login page or the like may answer instead of e-conomic."


class DatabaseUnavailable(RetriableError):
    default_hint = "Check that the invoice database runs and that its connection is correct."


class FatalError(EconomicError):
    """Stop: a retry cannot help until a person acts."""


class ConfigurationError(FatalError):
    """A connection, a setting or a parameter is missing or wrong."""


class CredentialsRefused(FatalError):
    default_hint = (
        "Check app_secret_token and agreement_grant_token in the connection: they must be a pair, the "
        "grant must not be revoked, and the app needs the SuperUser or Sales role."
    )


class LinesForbidden(CredentialsRefused):
    """The app may not read invoice lines. Invoices are not concerned: skip the lines."""

    default_hint = (
        "Give the app the SuperUser or Sales role, and check that the company has the module that "
        "e-conomic names, if any. Invoices are synced without their lines meanwhile."
    )


class RequestRefused(FatalError):
    default_hint = "Check the base URL in the connection."


class LinesNotFound(RequestRefused):
    """The service of invoice lines does not exist in the version that the path names."""

    default_hint = (
        "Check openapi_host in the connection. If it is right, e-conomic has ended this version of the "
        "service: install a newer version of this package."
    )


class ContractChanged(FatalError):
    default_hint = "See rejected_invoice for the reasons; a newer version of this package may be needed."


class AgreementMismatch(FatalError):
    """The connection reaches another e-conomic agreement than the one its rows belong to."""


class SchemaMismatch(FatalError):
    """The tables in the database are missing, older, newer, or owned by somebody else."""


class ScanExpired(FatalError):
    default_hint = "The next sync reads them again. To have it now, clear fetch-pages with downstream."


class LeaseLost(FatalError):
    default_hint = "Nothing to do: the newer sync updates the copy."


class SyncEnded(FatalError):
    default_hint = "Clear fetch-pages with downstream, or trigger a new run."


class LeaseBusy(EconomicError):
    """Another sync of the same agreement is running.

    :param holder_scope: of the sync that holds the lease: ``full``, ``range`` or ``quick``.
    """

    default_hint = 'Wait for it to end, or trigger with {"force": true} to take over at once.'

    def __init__(self, message: str, *, holder_scope: str, detail: str = "") -> None:
        super().__init__(message, detail=detail)
        self.holder_scope = holder_scope


class SyncSkipped(EconomicError):
    """There is nothing that this sync could do now; a later one can."""


class RecordError(EconomicError):
    """One record cannot be stored.

    :param field: the field of e-conomic's item, as it is spelled there
        (``customer.customerNumber``).
    :param reason: a short stable code for counting (``not_a_date``).
    """

    def __init__(self, message: str, *, field: str, reason: str) -> None:
        super().__init__(message)
        self.field = field
        self.reason = reason
