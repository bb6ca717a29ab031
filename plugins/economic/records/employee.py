"""Employees, from the items of ``/employees``."""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Struct

from economic.errors import RecordError
from economic.records.decoder import RawItem
from economic.records.fitting import Number, Text, fit, missing, text_or_none, without_broken_text


class Employee(NamedTuple):
    """An employee's number and name; a blank name is none."""

    employee_number: int
    name: str | None


class _Employee(Struct, rename="camel"):
    employee_number: Number | None = None
    name: Text | None = None


_REQUIRED = frozenset({"employeeNumber", "name"})


def parse_employee(item: RawItem) -> Employee:
    """Parse one employee.

    :raises RecordError: no number, or a name that is not a text.
    """
    value = without_broken_text(item.decode())
    if type(value) is not dict:
        raise RecordError("The employee is not an object.", field="(item)", reason="not_an_object")
    found, _ = fit(value, _Employee, _REQUIRED)
    if found.employee_number is None:
        raise missing("employeeNumber").error()
    return Employee(found.employee_number, text_or_none(found.name))
