"""`facewarden explain`: the video meant is found, however many came after it."""

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, insert

from cli.results import explain_again
from core import queues
from core.errors import NotFound
from core.outcomes import MediaKind, ScreeningStatus, Verdict
from core.settings import Settings
from storage import explanations, screenings, videos
from storage.engine import connect, transaction
from storage.leases import Ticket
from storage.migrate import upgrade
from storage.results import complete
from storage.tables import Screening, Video
from storage.videos import Seen
from tests.screening_results import register_model, screening_result

LATER = 10_050  # flagged videos that came after the first: more than any page holds
SHA256 = "0a1b" + "c" * 60


@pytest.fixture
def system(settings: Settings, valkey_url: str) -> Settings:
    queues.connect(valkey_url).flushall()
    return settings.model_copy(update={"redis_url": SecretStr(valkey_url)})


@pytest.fixture
def engine(system: Settings) -> Engine:
    """A flagged video whose frame is explained, and one that is clear."""
    engine = connect(system.sql_url)
    upgrade(engine)
    with transaction(engine) as session:
        register_model(session)
    (frame,) = add(engine, SHA256, "old/clip.mp4", Verdict.FAKE)
    with transaction(engine) as session:
        ticket = Ticket(row_id=frame, attempt=1)
        claimed = explanations.LEASES.claim(session, ticket, owner="e", lease_seconds=60)
        assert claimed is not None
        explanations.finish(session, claimed)
    assert add(engine, "0a1d" + "c" * 60, "clear.mp4", Verdict.CLEAR) == []
    return engine


@pytest.fixture
def crowd(engine: Engine) -> None:
    """Many videos that were flagged later."""
    later = range(100, 100 + LATER)
    with transaction(engine) as session:
        session.execute(
            insert(Video),
            [
                {"id": i, "sha256": f"f{i:063x}", "size_bytes": 1, "media_kind": "video", "object_key": "x"}
                for i in later
            ],
        )
        flagged = {"model_version_id": "m-1", "status": ScreeningStatus.DONE, "verdict": Verdict.FAKE}
        session.execute(insert(Screening), [{"id": i, "video_id": i, **flagged} for i in later])


def add(engine: Engine, sha256: str, name: str, verdict: Verdict) -> list[int]:
    with transaction(engine) as session:
        video_id, _ = videos.add(
            session, sha256=sha256, size_bytes=1, media_kind=MediaKind.VIDEO, object_key="x"
        )
        videos.sight(session, Seen(source="s", name=name, size_bytes=1, mtime_ns=1), video_id=video_id)
        ticket = screenings.request(session, video_id=video_id, model_version_id="m-1")
        assert ticket is not None
        claimed = screenings.LEASES.claim(session, ticket, owner="w", lease_seconds=60)
        assert claimed is not None
        return complete(session, claimed, screening_result(verdict))


@pytest.mark.usefixtures("crowd")
@pytest.mark.parametrize("key", ["old/clip.mp4", SHA256, SHA256[:4], SHA256[:4].upper()])
def test_an_old_video_is_explained_again_by_its_name_or_its_hash(
    key: str, system: Settings, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    explain_again(system, key)
    assert "1 flagged frames queued" in capsys.readouterr().out
    with transaction(engine) as session:
        assert explanations.LEASES.queued(session) == [Ticket(row_id=1, attempt=2)]
    waiting = queues.queue(queues.connect(system.queue_url), queues.EXPLAIN)
    assert waiting.get_job_ids() == ["explain-1-2"]


@pytest.mark.parametrize(
    "key", ["clear.mp4", "0a1d", "clip.mp4", "OLD/clip.mp4", "old/clip.mp", "", "%", "0a1b%"]
)
def test_what_is_not_flagged_or_not_called_so_is_not_found(
    key: str, system: Settings, engine: Engine
) -> None:
    with pytest.raises(NotFound):
        explain_again(system, key)
    with transaction(engine) as session:
        assert explanations.LEASES.queued(session) == []
