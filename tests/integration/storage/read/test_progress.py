"""What open pages ask again and again: how far videos are, and what the filters offer."""

import pytest
from sqlalchemy import Engine

from core.errors import BrokenMedia
from core.outcomes import DecisionOutcome, ExplanationMethod, MediaKind
from core.roles import Role
from storage import explanations, screenings, videos
from storage.engine import reading, transaction
from storage.leases import Ticket
from storage.people import accounts, decisions
from storage.queue import choices
from storage.read import progress
from storage.read.progress import Progress
from storage.results import complete
from storage.screenings import Claim
from tests.screening_results import explanation_result, register_model, screening_result


def add(engine: Engine, number: int, source: str) -> tuple[int, Claim]:
    """A video whose screening a worker holds."""
    with transaction(engine) as session:
        register_model(session)
        video_id, _ = videos.add(
            session, sha256=f"{number:064x}", size_bytes=1, media_kind=MediaKind.VIDEO, object_key="k"
        )
        videos.sight(
            session,
            videos.Seen(source=source, name="a.mp4", size_bytes=1, mtime_ns=number),
            video_id=video_id,
        )
        ticket = screenings.request(session, video_id=video_id, model_version_id="m-1")
        assert ticket is not None
        claimed = screenings.LEASES.claim(session, ticket, owner="w", lease_seconds=60)
    assert claimed is not None
    return video_id, claimed


def explain(engine: Engine, flagged_frame_id: int) -> None:
    result = explanation_result(ExplanationMethod.LIME, seed=0)
    ticket = Ticket(row_id=flagged_frame_id, attempt=1)
    with transaction(engine) as session:
        claimed = explanations.LEASES.claim(session, ticket, owner="e", lease_seconds=60)
        assert claimed is not None
        explanations.store(session, claimed, result)
        explanations.finish(session, claimed)


def test_progress_tells_each_step(engine: Engine) -> None:
    done, done_claim = add(engine, 1, "bucket:/b")
    failed, failed_claim = add(engine, 2, "bucket:/b")

    def told() -> list[Progress]:
        with reading(engine) as session:
            return progress.of_videos(session, [failed, done, 999])

    assert [(each.video_id, each.status, each.verdict) for each in told()] == [
        (done, "screening", None),
        (failed, "screening", None),
    ]
    with transaction(engine) as session:
        first, _ = complete(session, done_claim, screening_result(flagged_faces=[0, 1]))
        screenings.LEASES.fail(session, failed_claim, BrokenMedia(name="a.mp4", reason="no moov"))
    explain(engine, first)
    with transaction(engine) as session:
        anna = accounts.add(
            session,
            name="anna",
            role=Role.REVIEWER,
            password_hash="x",  # noqa: S106  never used
            actor="test",
        )
        decisions.decide(session, video_id=done, account_id=anna.id, outcome=DecisionOutcome.FAKE)
    one, other = told()
    assert (one.status, one.verdict, one.score) == ("done", "fake", pytest.approx(0.9))
    assert (one.flagged, one.explained, one.decisions) == (2, 1, 1)
    assert (other.status, other.flagged, other.decisions) == ("failed", 0, 0)
    assert "no moov" in (other.error_message or "")


def test_choices_are_what_there_is(engine: Engine) -> None:
    with reading(engine) as session:
        assert choices.sources(session) == []
    for number, source in enumerate(("upload", "bucket:/b", "upload", "bucket:/a")):
        add(engine, number, source)
    with reading(engine) as session:
        assert choices.sources(session) == ["bucket:/a", "bucket:/b", "upload"]
        assert [each.id for each in choices.model_versions(session)] == ["m-1"]
