"""Rows as plain values, which outlive their session."""

from dataclasses import fields
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Value = TypeVar("Value", bound="DataclassInstance")


def of_row(kind: type[Value], row: object, **others: Any) -> Value:
    """A value of `kind` whose fields are the row's attributes of the same name, or given in `others`."""
    return kind(**{name: getattr(row, name) for name in _names(kind) if name not in others}, **others)


@cache
def _names(kind: "type[DataclassInstance]") -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind))
