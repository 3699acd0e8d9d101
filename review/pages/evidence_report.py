"""The evidence report as a download: JSON, PDF, or one self-contained HTML file."""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import Engine

from core.errors import FileVanished, ObjectDamaged
from review.api.answers import refuse_while_blind
from review.auth.access import Exporter, Principal
from review.filters import NO_NUL
from review.pages import video_view
from review.pages.evidence_pdf import to_pdf
from review.pages.queue_query import LONGEST
from review.rendering import STATIC, render
from review.reports import evidence
from review.resources import Database, Id, Objects
from storage import audit
from storage.engine import reading, transaction
from storage.objects.store import ObjectStore
from storage.read import detail
from storage.read.detail import VideoDetail

router = APIRouter()

STYLES = ("app.css", "parts.css", "evidence.css")
TYPES = {".png": "image/png", ".jpg": "image/jpeg"}

Model = Annotated[str, Query(max_length=LONGEST, pattern=NO_NUL)]


@router.get("/videos/{video_id}/evidence.html")
def evidence_html(
    engine: Database, objects: Objects, principal: Exporter, video_id: Id, model: Model = ""
) -> Response:
    """One self-contained HTML file."""
    values, found = _made(engine, principal, video_id, model, kind="html")
    headers = _headers(values, "html")
    return HTMLResponse(_to_html(values, found, objects), headers=headers)


@router.get("/videos/{video_id}/evidence.json")
def evidence_json(engine: Database, principal: Exporter, video_id: Id, model: Model = "") -> Response:
    """The same as JSON, with every frame score and every segment."""
    values, _ = _made(engine, principal, video_id, model, kind="json")
    content = json.dumps(values, indent=1, ensure_ascii=False).encode("utf-8", "surrogatepass")
    return Response(content, media_type="application/json", headers=_headers(values, "json"))


@router.get("/videos/{video_id}/evidence.pdf")
def evidence_pdf(
    engine: Database, objects: Objects, principal: Exporter, video_id: Id, model: Model = ""
) -> Response:
    """The content of the HTML on A4 pages."""
    values, found = _made(engine, principal, video_id, model, kind="pdf")
    content = to_pdf(values, video_view.build(found, blind=False), found, lambda key: _picture(objects, key))
    return Response(content, media_type="application/pdf", headers=_headers(values, "pdf"))


def _made(
    engine: Engine, principal: Principal, video_id: int, model: str, *, kind: str
) -> tuple[dict[str, Any], VideoDetail]:
    with reading(engine) as session:
        refuse_while_blind(session, principal, video_id)
        found = detail.video(session, video_id, model or None, account_id=principal.account_id)
        values = evidence.report(session, found, made_by=principal.name, made_at=datetime.now(UTC))
    with transaction(engine) as session:
        audit.record(
            session,
            actor=principal.name,
            action="evidence.exported",
            subject=found.item.sha256,
            format=kind,
            content_sha256=values["content_sha256"],
        )
    return values, found


def _to_html(values: Mapping[str, Any], found: VideoDetail, objects: ObjectStore) -> str:
    """`values` as one self-contained HTML file, with styles and pictures embedded."""
    return render(
        "evidence.html",
        report=values,
        video=video_view.build(found, blind=False),
        detail=found,
        styles="\n".join((STATIC / name).read_text() for name in STYLES),
        picture=lambda key: _data_url(objects, key),
    )


def _data_url(objects: ObjectStore, key: str) -> str:
    """The picture as a `data:` URL; empty if it is gone or damaged, so that the rest can be exported."""
    content = _picture(objects, key)
    if content is None:
        return ""
    kind = TYPES.get(key[key.rfind(".") :], "application/octet-stream")
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _picture(objects: ObjectStore, key: str) -> bytes | None:
    try:
        return objects.read(key)
    except (FileVanished, ObjectDamaged):
        return None


def _headers(values: dict[str, Any], suffix: str) -> dict[str, str]:
    # A download: shown by the service, its inline styles would violate the service's policy.
    name = f"evidence-{values['file']['sha256'][:12]}.{suffix}"
    return {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
