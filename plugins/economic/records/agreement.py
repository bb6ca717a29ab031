"""The agreement that the tokens belong to, from ``/self``."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from msgspec import Meta, Struct

from economic.errors import BrokenResponse, RecordError
from economic.outside_text import bounded
from economic.records.decoder import decode_document
from economic.records.fitting import Number, fit

__all__ = ["Agreement"]

_LONGEST_COMPANY = 200


class Agreement(NamedTuple):
    """A company's e-conomic accounts."""

    agreement_number: int
    company_name: str | None
    base_currency: str | None


class _Company(Struct):
    name: str | None = None


class _Settings(Struct, rename="camel"):
    base_currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z")] | None = None


class _Self(Struct, rename="camel"):
    agreement_number: Number | None = None
    company: _Company | None = None
    settings: _Settings | None = None


def parse_agreement(body: bytes) -> Agreement:
    """Parse the answer of ``/self``. Only the number identifies the company; the rest may be
    missing.

    :raises BrokenResponse: it names no agreement number.
    """
    try:
        document, _ = fit(decode_document(body), _Self, frozenset({"agreementNumber"}))
    except RecordError as error:
        raise BrokenResponse(f"/self is not what it should be: {error.message}") from None
    if document.agreement_number is None:
        raise BrokenResponse("/self names no agreement number.")
    company, settings = document.company or _Company(), document.settings or _Settings()
    # The name is only shown, so it is stored as it may be shown.
    name = bounded(company.name or "", _LONGEST_COMPANY) or None
    return Agreement(document.agreement_number, name, settings.base_currency)
