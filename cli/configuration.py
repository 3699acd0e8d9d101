"""`facewarden config`: one table of settings, from one class tree."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic_core import PydanticUndefined

from core.settings import SHIPPED_WEIGHTS, Settings


def read_settings() -> Settings:
    """The settings of this process, with logging set up as they say. Raises SettingsError."""
    from core.logs import configure

    settings = Settings.read()
    configure(settings)
    return settings


@dataclass(frozen=True, kw_only=True)
class Row:
    name: str  # of the environment variable
    default: str
    description: str


def rows(model: type[BaseModel] = Settings, prefix: str = "FACEWARDEN_") -> Iterator[Row]:
    """Every setting, nested ones with their full names."""
    for name, field in model.model_fields.items():
        annotation: Any = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from rows(annotation, f"{prefix}{name.upper()}__")
            continue
        default = "" if field.default in (None, PydanticUndefined) else str(field.default)
        if field.default == SHIPPED_WEIGHTS:
            default = "models/weights/xception.safetensors"  # the absolute path differs on every machine
        yield Row(name=prefix + name.upper(), default=default, description=field.description or "")


def as_markdown() -> str:
    """The page docs/settings.md."""
    lines = [
        "# Settings",
        "",
        "Read from the environment, or from a file `.env` in the working folder. This page is written by",
        "`make settings-docs` from `core/settings.py`; a test fails where it is out of date.",
        "",
        "| variable | default | what it does |",
        "|---|---|---|",
    ]
    lines += [
        f"| `{row.name}` | {f'`{row.default}`' if row.default else 'unset'} | {row.description} |"
        for row in rows()
    ]
    return "\n".join(lines) + "\n"


def as_env() -> str:
    """The file .env.example: every setting, commented out, with its default."""
    lines = ["# Copy to .env and uncomment what you change. Written by `make settings-docs`.", ""]
    for row in rows():
        lines += [f"# {row.description}", f"# {row.name}={row.default}", ""]
    return "\n".join(lines[:-1]) + "\n"


def as_table(settings: Settings) -> str:
    """The settings in force; a secret shows only that it is set."""
    return "".join(f"{name}={value}\n" for name, value in _values(settings, "FACEWARDEN_"))


def _values(model: BaseModel, prefix: str) -> Iterator[tuple[str, str]]:
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from _values(value, f"{prefix}{name.upper()}__")
        else:
            shown = "**********" if isinstance(value, SecretStr) else "" if value is None else str(value)
            yield prefix + name.upper(), shown
