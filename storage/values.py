"""Rows as values: what leaves a session must not be bound to it."""

from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Value = TypeVar("Value", bound="DataclassInstance")


def of_row(kind: type[Value], row: object, **others: Any) -> Value:
    """A value of `kind`: each field the row's attribute of the same name, or that of `others`."""
    same = {each.name: getattr(row, each.name) for each in fields(kind) if each.name not in others}
    return kind(**same, **others)
