"""Uploads in, exports out."""

import csv
import json
from io import StringIO

import pytest
from sqlalchemy import func, select

from core.outcomes import Verdict
from core.roles import Role, Scope
from core.settings import ReviewSettings
from review.app import create_app
from storage.engine import reading
from storage.objects.store import INCOMING
from storage.tables import Sighting
from tests.integration.review.api.site import FLAGGED, MP4, Site, picture


def left_behind(site: Site) -> list[str]:
    return [path.name for path in site.settings.objects_folder.glob(f"{INCOMING}*")]


def test_an_upload_is_known_by_its_content(site: Site) -> None:
    client, content = site.client(), MP4 + b"mine"
    first = client.post("/v1/uploads?name=a/b/../holiday.mp4", content=content)
    assert (first.status_code, first.json()["intake"], first.json()["name"]) == (201, "queued", "holiday.mp4")
    assert first.headers["location"] == f"/v1/videos/{first.json()['video_id']}"
    for _ in range(2):
        again = client.post("/v1/uploads?name=holiday.mp4", content=content)
        assert (again.status_code, again.json()["intake"]) == (200, "known")
        assert again.json()["video_id"] == first.json()["video_id"]
    other = client.post("/v1/uploads?name=holiday.mp4", content=MP4 + b"four")
    assert other.json()["video_id"] != first.json()["video_id"]
    with reading(site.engine) as session:
        assert session.scalar(select(func.count()).where(Sighting.name == "holiday.mp4")) == 2
    video = client.get(first.headers["location"]).json()["video"]
    assert (video["status"], video["source"], video["media_kind"]) == ("queued", "upload", "video")
    assert left_behind(site) == []


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 422, "empty_file"),
        (b"<html>", 415, "not_media"),
        (b"8BPS" + b"\0" * 20, 415, "unsupported_media"),
        (b".RMF" + b"\0" * 20, 415, "unsupported_media"),
    ],
)
def test_what_is_no_video_or_image_is_refused(site: Site, content: bytes, status: int, code: str) -> None:
    answer = site.client().post("/v1/uploads?name=x.mp4", content=content)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert left_behind(site) == []


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_images_are_taken(site: Site, kind: str) -> None:
    answer = site.client().post("/v1/uploads?name=x", content=picture(kind))
    assert answer.status_code == 201
    video = site.client().get(answer.headers["location"]).json()["video"]
    assert video["media_kind"] == "image"
    media = site.client().get(f"{answer.headers['location']}/media")
    assert media.headers["content-type"] == f"image/{kind.lower()}"
    again = site.client().get(
        f"{answer.headers['location']}/media", headers={"If-None-Match": media.headers["etag"]}
    )
    assert again.status_code == 304
    for each in (media, again):  # opened by itself, whatever is in it runs nothing
        assert "sandbox" in each.headers["content-security-policy"].split("; ")
        assert each.headers["content-security-policy"].startswith("default-src 'none'")
        assert each.headers["x-content-type-options"] == "nosniff"


def test_an_upload_above_the_limit_is_refused_whether_its_size_is_stated_or_not(site: Site) -> None:
    limited = site.settings.model_copy(
        update={"review": ReviewSettings(upload_bytes=2_000_000, hosts="testserver")}
    )
    site.app = create_app(limited)
    client, content = site.client(), MP4 + b"\0" * 2_000_000
    stated = client.post("/v1/uploads", content=content)
    unstated = client.post(
        "/v1/uploads", content=(content[at : at + 65536] for at in range(0, 2_000_100, 65536))
    )
    for answer in (stated, unstated):
        assert (answer.status_code, answer.json()["code"]) == (413, "media_too_large")
    assert left_behind(site) == []
    # More than the limit of other routes: those have one, this has its own.
    assert client.post("/v1/uploads", content=MP4 + b"\0" * 1_500_000).status_code == 201
    site.app.state.engine.dispose()


def test_an_export_holds_every_row_and_no_formula(site: Site) -> None:
    names = ["=cmd|' /C calc'!A0.mp4", "+1.mp4", "-1.mp4", "@sum.mp4", "\t=1.mp4", 'Ünï,cödé "q".mp4']
    for name in names:
        site.add(name, Verdict.CLEAR, 0.2)
    answer = site.client().get("/v1/export")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="facewarden-videos.csv"'
    rows = list(csv.DictReader(StringIO(answer.text)))
    assert len(rows) == 5 + len(names)
    assert rows[0]["name"] == FLAGGED
    assert float(rows[0]["score"]) == 0.97
    found = {row["name"] for row in rows}
    assert {f"'{name}" for name in names[:5]} | {names[5]} <= found
    assert not [row for row in rows if row["name"].startswith(("=", "+", "-", "@", "\t"))]
    lines = [json.loads(line) for line in site.client().get("/v1/export?format=jsonl").text.splitlines()]
    assert {line["name"] for line in lines} >= set(names)  # JSON runs no formulas: names stay as they are


def test_an_export_is_filtered_paged_and_has_a_heading(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("review.reports.export.ROWS", 2)
    client = site.client()
    assert len(client.get("/v1/export?format=jsonl").text.splitlines()) == 5
    assert len(client.get("/v1/export?format=jsonl&verdict=fake").text.splitlines()) == 1
    assert client.get("/v1/export?verdict=no_face").text.startswith("video_id,sha256,name,")
    assert client.get("/v1/export?text=ab").status_code == 422
    assert client.get("/v1/export?limit=1").status_code == 422


def test_a_token_does_no_more_than_its_scopes(site: Site) -> None:
    site.account("machine", Role.SERVICE, (Scope.UPLOAD,))
    client = site.client("machine")
    assert client.post("/v1/uploads?name=x.mp4", content=MP4).status_code == 201
    assert client.get("/v1/videos").status_code == 403
    assert client.get("/v1/export").status_code == 403
