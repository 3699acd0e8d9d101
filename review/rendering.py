"""Renders templates: one Jinja2 environment with autoescaping, in which unknown names are errors."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from review import addresses, words

TEMPLATES = Path(__file__).parent / "templates"
STATIC = Path(__file__).parent / "static"


@cache
def environment() -> Environment:
    """The environment of all templates; its filters format the words and numbers that reviewers read."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        percent=words.percent,
        moment=words.moment,
        clock=words.clock,
        size=words.size,
        since=words.since,
        duration=words.duration,
        named=words.named,
        reasons=words.reasons,
        failure=words.failure,
        abilities=words.abilities,
    )
    made.globals.update(
        static=static_url,
        now=lambda: datetime.now(UTC),
        media_url=addresses.media,
        poster_url=addresses.poster,
        crop_url=addresses.crop,
        image_url=addresses.image,
        overlay_url=addresses.overlay,
    )
    return made


def render(template: str, **values: Any) -> str:
    """The HTML of one template."""
    return environment().get_template(template).render(**values)


def page(
    request: Request,
    template: str,
    *,
    principal: Any = None,
    status_code: int = 200,
    headers: Mapping[str, str] | None = None,
    **values: Any,
) -> HTMLResponse:
    """A whole page. `principal` is who is signed in (`review.auth.access.Principal`), or None."""
    content = render(template, request=request, principal=principal, **values)
    # Pages must not come back from a cache after signing out.
    told = {"Cache-Control": "no-store", "Vary": "HX-Request, Cookie"} | dict(headers or {})
    return HTMLResponse(content, status_code=status_code, headers=told)


def static_url(name: str) -> str:
    """The address of a file in `static/`, which changes with its content so that browsers may cache it."""
    return f"/static/{name}?v={static_digest(name)}"


@cache
def static_digest(name: str) -> str:
    """The first digits of the SHA-256 of a static file."""
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
