"""The whole way of a video whose objects are in S3: taken in, screened, explained, reviewed, swept."""

import shutil
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from cli import doctor
from core import queues
from core.errors import BucketUnavailable, SettingsError
from core.roles import Role, Scope
from core.settings import ReviewSettings, Settings
from ingest.registration import Receipt, Registrar
from review.app import create_app
from storage import sweep
from storage.engine import transaction
from storage.objects.choice import open_store
from storage.people import accounts, tokens
from tests.ports import free_port
from tests.s3_server import REGION, S3Server
from tests.screening_results import stored_screenings
from worker.process import run_worker


@pytest.fixture
def system(system: Settings, s3: S3Server) -> Settings:
    changes = {
        "objects": str(s3.place()),
        "s3": {"endpoint_url": s3.endpoint, "region": REGION, "attempts": 2},
        "review": ReviewSettings(hosts="testserver"),
    }
    return Settings(**(system.model_dump(exclude_unset=True) | changes), _env_file=None)


def reviewer(system: Settings, engine: Engine) -> TestClient:
    hashed = "no password"
    with transaction(engine) as session:
        view = accounts.add(
            session, name="r", role=Role.REVIEWER, password_hash=hashed, actor="test", must_change=False
        )
        scopes = {Scope.READ, Scope.UPLOAD}
        _, token = tokens.create(session, view.id, name="t", scopes=scopes, days=1, actor="test")
    return TestClient(create_app(system), headers={"Authorization": f"Bearer {token}"})


def registered(system: Settings, engine: Engine, clip: Path, folder: Path) -> Receipt:
    """A copy of the clip, taken in."""
    source = folder / "clip.mp4"
    shutil.copy(clip, source)
    return Registrar(system, engine, open_store(system)).register(source, name="clip.mp4", source="test")


def test_a_video_goes_its_whole_way(
    system: Settings, engine: Engine, face_clip: Path, s3: S3Server, tmp_path: Path
) -> None:
    place = system.objects_bucket
    assert place is not None
    objects = open_store(system)
    receipt = registered(system, engine, face_clip, tmp_path)
    assert receipt.intake == "queued"
    assert run_worker(queues.SCREEN, system, burst=True) == 0
    assert run_worker(queues.EXPLAIN, system, burst=True) == 0
    (found,) = stored_screenings(engine)
    assert found.item.verdict == "fake"
    (fetched,) = [path.name for path in system.scratch_folder.iterdir() if not path.name.startswith(".")]
    assert fetched == receipt.sha256
    assert not system.objects_folder.exists()

    content = face_clip.read_bytes()
    with reviewer(system, engine) as client:
        media = f"/v1/videos/{found.item.video_id}/media"
        whole = client.get(media)
        assert (whole.status_code, whole.content) == (200, content)
        part = client.get(media, headers={"Range": "bytes=1000-1999"})
        assert (part.status_code, part.content) == (206, content[1000:2000])
        assert part.headers["content-range"] == f"bytes 1000-1999/{len(content)}"
        assert client.get(media, headers={"If-None-Match": whole.headers["etag"]}).status_code == 304
        frame = found.flagged_frames[0]
        assert client.get(f"/v1/frames/{frame.id}/image").content[:2] == b"\xff\xd8"
        assert client.get(f"/v1/frames/{frame.id}/image?width=64").content[:2] == b"\xff\xd8"
        assert client.get(f"/v1/frames/{frame.id}/crop").content[1:4] == b"PNG"
        for each in frame.explanations:
            for overlay in each.overlays:
                drawn = client.get(f"/v1/explanations/{each.id}/{overlay}.png")
                assert drawn.content[1:4] == b"PNG"
        again = client.post("/v1/uploads?name=again.mp4", content=content)
        assert (again.status_code, again.json()["intake"]) == (200, "known")
        s3.client.delete_object(Bucket=place.bucket, Key=place.prefix + frame.crop_key)
        gone = client.get(f"/v1/frames/{frame.id}/crop")
        assert (gone.status_code, gone.json()["code"]) == (404, "file_vanished")

    with pytest.raises(SettingsError, match=r"1 missing, such as .* of flagged_frame"):
        doctor._objects(system)
    s3.client.put_object(Bucket=place.bucket, Key=place.prefix + frame.crop_key, Body=b"from a backup")
    before = len(s3.names(place))
    orphan = objects.put_bytes(b"no row names it")
    assert "0 missing" in doctor._objects(system)
    ages = pytest.MonkeyPatch()
    with ages.context() as patch:  # two days later
        patch.setattr(type(objects), "now", lambda self: self._bucket.now() + 2 * 86400)
        swept = sweep.sweep(engine, objects, system.sweep)
    assert (swept.removed, swept.found.missing) == (1, 0)
    assert not objects.exists(orphan)
    assert len(s3.names(place)) == before


def test_a_bucket_that_is_away_costs_no_attempt(
    system: Settings, engine: Engine, face_clip: Path, tmp_path: Path
) -> None:
    registered(system, engine, face_clip, tmp_path)
    away = f"http://127.0.0.1:{free_port()}"
    without = system.model_copy(update={"s3": system.s3.model_copy(update={"endpoint_url": away})})
    assert run_worker(queues.SCREEN, without, burst=True) == 0
    (found,) = stored_screenings(engine)
    assert (found.item.status, found.item.error_code) == ("queued", None)
    with pytest.raises(BucketUnavailable, match=away):
        doctor._objects(without)
    with reviewer(without, engine) as client:
        answer = client.get(f"/v1/videos/{found.item.video_id}/media")
        assert (answer.status_code, answer.json()["code"]) == (503, "bucket_unavailable")


def test_a_damaged_object_fails_its_video_by_name(
    system: Settings, engine: Engine, face_clip: Path, s3: S3Server, tmp_path: Path
) -> None:
    place = system.objects_bucket
    assert place is not None
    registered(system, engine, face_clip, tmp_path)
    (key,) = s3.names(place)
    s3.client.put_object(Bucket=place.bucket, Key=place.prefix + key, Body=b"other")
    assert run_worker(queues.SCREEN, system, burst=True) == 0
    (found,) = stored_screenings(engine)
    assert found.item.error_code == "object_damaged"
    assert str(found.item.error_message).startswith("clip.mp4: ")
