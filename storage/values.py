"""Rows as plain values, which outlive their session."""

from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Value = TypeVar("Value", bound="DataclassInstance")


def of_row(kind: type[Value], row: object, **others: Any) -> Value:
    """A value of `kind` whose fields are the row's attributes of the same name, or given in `others`."""
    same = {each.name: getattr(row, each.name) for each in fields(kind) if each.name not in others}
    return kind(**same, **others)
