"""Explanations, pictures, and the video itself by ranges."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import update

from core.outcomes import Verdict
from storage.engine import transaction
from storage.tables import Video
from tests.integration.review.api.site import CLEAR, FAILED, FLAGGED, MP4, QUEUED, SEGMENTS, Site


def flagged_frame(shared: Site) -> dict[str, int]:
    frame = shared.client().get(f"/v1/videos/{shared.ids[FLAGGED]}").json()["flagged_frames"][0]
    return {"frame": frame["id"], "explanation": frame["explanations"][0]["id"]}


def test_a_browser_can_seek_in_the_video(shared: Site) -> None:
    path, content = f"/v1/videos/{shared.ids[FLAGGED]}/media", MP4 + FLAGGED.encode()
    client = shared.client("viewer")
    whole = client.get(path)
    assert (whole.status_code, whole.content) == (200, content)
    assert whole.headers["content-type"] == "video/mp4"
    assert whole.headers["accept-ranges"] == "bytes"
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert whole.headers["content-disposition"] == 'inline; filename="flagged.mp4"'
    part = client.get(path, headers={"Range": "bytes=4-11"})
    assert (part.status_code, part.content) == (206, content[4:12])
    assert part.headers["content-range"] == f"bytes 4-11/{len(content)}"
    assert client.get(path, headers={"Range": "bytes=-4"}).content == content[-4:]
    assert client.get(path, headers={"Range": "bytes=9999-"}).status_code == 416
    tag = whole.headers["etag"]
    assert client.get(path, headers={"If-None-Match": tag}).status_code == 304
    assert client.get(path, headers={"Range": "bytes=0-0", "If-Range": tag}).status_code == 206
    assert client.get(path, headers={"Range": "bytes=0-0", "If-Range": '"old"'}).status_code == 200


def test_content_is_never_served_as_something_a_browser_runs(site: Site) -> None:
    video = site.add('<b>"x".html', Verdict.CLEAR, 0.1)
    page = b"<html><script>alert(1)</script></html>"
    with transaction(site.engine) as session:
        key = site.objects.put_bytes(page)
        session.execute(update(Video).where(Video.id == video).values(object_key=key))
    answer = site.client().get(f"/v1/videos/{video}/media")
    assert answer.content == page
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == "attachment; filename*=utf-8''%3Cb%3E%22x%22.html"
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_an_explanation_as_numbers_and_as_a_picture(shared: Site) -> None:
    ids = flagged_frame(shared)
    found = shared.client("viewer").get(f"/v1/explanations/{ids['explanation']}").json()
    segments = found["segments"]
    drawn = np.repeat(segments["values"], segments["lengths"]).reshape(segments["height"], segments["width"])
    assert (drawn == SEGMENTS).all()
    assert found["weights"] == [0.5, -0.25, 0.0, 0.1]
    assert (found["r2"], found["stability"]) == (0.7, 0.9)
    heat = shared.client().get(f"/v1/explanations/{ids['explanation']}/heat.png")
    assert heat.headers["content-type"] == "image/png"
    assert Image.open(BytesIO(heat.content)).size == (8, 8)
    assert shared.client().get(f"/v1/explanations/{ids['explanation']}/other.png").status_code == 404


@pytest.mark.parametrize(("width", "expected"), [(32, (32, 24)), (1000, (64, 48))])
def test_pictures_are_shrunk_but_never_enlarged(shared: Site, width: int, expected: tuple[int, int]) -> None:
    client = shared.client()
    paths = (
        f"/v1/videos/{shared.ids[FLAGGED]}/thumbnail",
        f"/v1/frames/{flagged_frame(shared)['frame']}/image",
    )
    for path in paths:
        answer = client.get(path, params={"width": width})
        assert answer.headers["content-type"] == "image/jpeg"
        assert Image.open(BytesIO(answer.content)).size == expected
        tag = {"If-None-Match": answer.headers["etag"]}
        assert client.get(path, params={"width": width}, headers=tag).status_code == 304


def test_a_crop_is_what_was_classified(shared: Site) -> None:
    answer = shared.client().get(f"/v1/frames/{flagged_frame(shared)['frame']}/crop")
    assert (answer.headers["content-type"], answer.content[:4]) == ("image/png", b"\x89PNG")


def test_a_video_that_was_not_flagged_has_no_thumbnail(shared: Site) -> None:
    assert shared.client().get(f"/v1/videos/{shared.ids[CLEAR]}/thumbnail").status_code == 404


def test_every_screened_video_has_a_poster_for_everybody(site: Site) -> None:
    site.blind("reviewer")
    items = {each["name"]: each for each in site.client().get("/v1/videos").json()["items"]}
    assert items[QUEUED]["poster"] is None
    assert items[FAILED]["poster"] is None
    for name in (CLEAR, FLAGGED):
        address = items[name]["poster"]
        assert address == f"/v1/videos/{site.ids[name]}/poster"
        answer = site.client().get(address)
        assert answer.headers["content-type"] == "image/jpeg"
        assert Image.open(BytesIO(answer.content)).size == (32, 24)
        tag = {"If-None-Match": answer.headers["etag"]}
        assert site.client().get(address, headers=tag).status_code == 304
    assert site.client().get(f"/v1/videos/{site.ids[QUEUED]}/poster").status_code == 404
