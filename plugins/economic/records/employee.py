"""Employees, from the items of ``/employees``."""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Struct

from economic.records.decoder import RawItem
from economic.records.fitting import Number, Text, fit, missing, text_or_none, without_broken_text


class Employee(NamedTuple):
    """An employee's number and name; a blank name is None."""

    employee_number: int
    name: str | None


class _Employee(Struct, rename="camel"):
    employee_number: Number | None = None
    name: Text | None = None


def parse_employee(item: RawItem) -> Employee:
    """Parse one employee.

    :raises RecordError: it has no number, or a name that is not a text.
    """
    value = without_broken_text(item.decode_object())
    employee, _ = fit(value, _Employee, frozenset({"employeeNumber", "name"}))
    if employee.employee_number is None:
        raise missing("employeeNumber")
    return Employee(employee.employee_number, text_or_none(employee.name))
