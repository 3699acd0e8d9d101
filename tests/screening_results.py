"""What a screening leaves to be stored, where a test is not about what is in it, and what is stored."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from core.outcomes import ExplanationMethod, Verdict
from core.provenance import Stated
from core.results import ExplanationResult, FaceResult, FlaggedFrameResult, ScreeningResult, TrackResult
from storage import model_versions
from storage.engine import reading
from storage.queue.filters import Filters
from storage.read import detail
from storage.read.detail import ScreeningDetail

FACE = FaceResult(
    track_number=0,
    frame_index=0,
    time_seconds=0.5,
    box=(1, 2, 30, 40),
    frame_width=64,
    frame_height=48,
    landmarks=[[1.0, 2.0]] * 5,
    probability=0.99,
    sharpness=100.0,
    yaw=0.1,
    roll=0.0,
    turn=0,
    rejected_because=None,
    logit=2.0,
)


def register_model(session: Session, version_id: str = "m-1") -> None:
    """The version of a model that screens, where a test is not about which."""
    model_versions.register(
        session,
        version_id=version_id,
        architecture="m",
        label="test",
        weights_sha256="0" * 64,
        input_size=64,
        details={},
    )


def explanation_result(
    method: ExplanationMethod, *, seed: int | None = None, overlays: Mapping[str, str] | None = None
) -> ExplanationResult:
    """An explanation that says nothing but its method."""
    return ExplanationResult(
        method=method,
        parameters={},
        seed=seed,
        segments=None,
        weights=[],
        intercept=None,
        local_prediction=None,
        r2=None,
        stability=None,
        overlays=dict(overlays or {}),
    )


def screening_result(
    verdict: Verdict = Verdict.FAKE,
    score: float | None = 0.9,
    *,
    flagged_faces: Sequence[int] = (0,),
    coverage: float = 1.0,
    rejected_faces: Mapping[str, int] | None = None,
    turn: int = 0,
    probe: Mapping[str, Any] | None = None,
    image_key: str = "i",
    crop_key: str = "c",
    poster_key: str | None = None,
) -> ScreeningResult:
    """One track of two like faces; those numbered `flagged_faces` are flagged where the verdict is."""
    track = TrackResult(
        number=0,
        stream=0,
        start_seconds=0.0,
        end_seconds=1.0,
        frames=2,
        usable_frames=2,
        score=score,
        raw_score=2.0,
        supported=True,
        flagged_ranges=[(0.25, 0.75)] if verdict.flagged else [],
        family="swap" if verdict.flagged else None,
        family_probability=0.71 if verdict.flagged else None,
    )
    flagged = [
        FlaggedFrameResult(
            face_number=number,
            track_number=0,
            time_seconds=FACE.time_seconds,
            score=score or 0.0,
            image_key=image_key,
            crop_key=crop_key,
        )
        for number in flagged_faces
    ]
    return ScreeningResult(
        verdict=verdict,
        score=score,
        raw_score=2.0,
        coverage=coverage,
        longest_unseen_seconds=1.25,
        looks=3.5,
        unseen=[],
        provenance={},
        provenance_stated=Stated.NOTHING,
        rejected_faces=dict(rejected_faces or {}),
        turn=turn,
        probe=dict(probe or {}),
        timings={"total": 1.0},
        tracks=[track],
        faces=[FACE, FACE],
        flagged_frames=flagged if verdict.flagged else [],
        poster_key=poster_key,
    )


def stored_screenings(engine: Engine, **filters: Any) -> list[ScreeningDetail]:
    """All screenings that the filters let through, the newest first."""
    with reading(engine) as session:
        return detail.screenings(session, Filters(every_screening=True, **filters))
