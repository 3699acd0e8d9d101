"""A small installation with real pictures for the review service's tests: `build(settings, weights)`.

Three clips (a genuine one, a swapped one, one with two faces) go through the real pipeline, the flagged
ones through the real explainers. Around them lie other videos, made of the same clips and faces, in every
state that the queue shows; their scores and ages are those of `OTHERS`, not measured.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
from matplotlib.cbook import get_sample_data
from PIL import Image
from skimage.data import astronaut
from sqlalchemy import Engine, update
from sqlalchemy.orm import Session

from cli.demo import make_photographs, write_clip
from core.errors import BrokenMedia, FacewardenError, NoVideoStream
from core.model_version import ModelVersion
from core.outcomes import FLAGGED as FLAGGED_VERDICTS
from core.outcomes import MediaKind, Verdict
from core.results import ExplanationResult, ScreeningResult
from core.settings import Settings
from ingest.registration import register_version
from models.classifier import Classifier
from storage import explanations, migrate, screenings, videos
from storage.engine import transaction
from storage.leases import Ticket
from storage.objects.store import ObjectStore
from storage.results import complete
from storage.screenings import Claim
from storage.tables import Screening, Video, utc_now
from worker.context import Context
from worker.explaining import explain_frame
from worker.outcome import to_result

FLAGGED, GENUINE, TWO_FACES = "newsroom/statement.mp4", "newsroom/portrait.mp4", "uploads/two_speakers.mp4"
LEASE_SECONDS = 3600.0
OTHERS: tuple[tuple[str, str, float | None, int], ...] = (
    # name, what became of it, the score it is given, the hours since
    ("social/clip_0291.mp4", Verdict.FAKE, 0.93, 2),
    ("social/clip_0304.mp4", Verdict.SUSPECT, 0.71, 3),
    ("social/clip_0317.mp4", Verdict.CLEAR, 0.22, 4),
    ("social/clip_0322.mp4", Verdict.CLEAR, 0.08, 5),
    ("social/holiday, Kraków 2026.mp4", Verdict.CLEAR, 0.11, 6),
    ("uploads/board_meeting.mp4", Verdict.SUSPECT, 0.67, 8),
    ("uploads/landscape.mp4", Verdict.NO_FACE, None, 9),
    ("uploads/side_view.mp4", Verdict.UNJUDGED, None, 10),
    ("uploads/passing_by.mp4", Verdict.TOO_SHORT, None, 11),
    ("archive/reel_1969.mp4", Verdict.CLEAR, 0.31, 26),
    ("archive/reel_1970.mp4", Verdict.FAKE, 0.88, 30),
    ("archive/damaged.mp4", "failed", None, 31),
    ("archive/voice_only.mp4", "failed", None, 33),
    ("incoming/morning_show.mp4", "queued", None, 0),
    ("incoming/late_show.mp4", "queued", None, 0),
)


@dataclass(frozen=True, kw_only=True)
class Made:
    """A clip and what the pipeline and the explainers found in it."""

    content: bytes
    result: ScreeningResult
    explained: list[list[ExplanationResult]]  # of each flagged frame


@dataclass(frozen=True, kw_only=True)
class ReviewData:
    engine: Engine
    objects: ObjectStore
    version: ModelVersion
    ids: dict[str, int]  # video id by name


def build(settings: Settings, weights: Path, *, seconds: int = 5) -> ReviewData:
    """Fill the database and the objects of `settings`; the clips last `seconds`."""
    settings = settings.model_copy(update={"weights": weights})
    context = Context.of(settings)
    migrate.upgrade(context.engine)
    classifier = context.classifier
    with transaction(context.engine) as session:
        register_version(session, classifier.version)
    settings.home.mkdir(parents=True, exist_ok=True)
    made = {}
    ids = {}
    for name, picture in _photographs().items():
        clip = settings.home / "clip.mp4"
        write_clip(clip, picture, seconds=seconds)
        claimed, ids[name] = _claim(context, name, clip.read_bytes(), classifier.version)
        result = to_result(context.pipeline.screen(clip, name=name), context.objects)
        explained = _complete(context, claimed, result)
        made[name] = Made(content=clip.read_bytes(), result=result, explained=explained)
    for number, (name, became, score, hours) in enumerate(OTHERS):
        like = (FLAGGED, TWO_FACES)[number % 2] if became in FLAGGED_VERDICTS else GENUINE
        ids[name] = _other(context, name, became, score, hours, made[like], classifier)
    return ReviewData(engine=context.engine, objects=context.objects, version=classifier.version, ids=ids)


def _photographs() -> dict[str, np.ndarray]:
    made = make_photographs()
    with Image.open(get_sample_data("grace_hopper.jpg", asfileobj=False)) as picture:
        hopper = picture.convert("RGB").crop((64, 0, 448, 512))
    swapped = Image.fromarray(made["swapped"]).crop((40, 0, 424, 512))
    call = Image.new("RGB", (816, 930), (24, 27, 37))  # two people in a video call
    call.paste(hopper, (16, 110))
    call.paste(swapped, (416, 110))
    two = np.asarray(call)
    return {FLAGGED: made["swapped"], GENUINE: np.ascontiguousarray(astronaut()), TWO_FACES: two}


def _claim(context: Context, name: str, content: bytes, version: ModelVersion) -> tuple[Claim, int]:
    """Register the content as ingest does and take its screening as a worker does."""
    key = context.objects.put_bytes(content)
    source, _, _ = name.partition("/")
    with transaction(context.engine) as session:
        video_id, _ = videos.add(
            session,
            sha256=key.replace("/", ""),
            size_bytes=len(content),
            media_kind=MediaKind.VIDEO,
            object_key=key,
        )
        seen = videos.Seen(source=f"bucket:{source}", name=name, size_bytes=len(content), mtime_ns=1)
        videos.sight(session, seen, video_id=video_id)
        ticket = screenings.request(session, video_id=video_id, model_version_id=version.id)
        assert ticket is not None
        claimed = screenings.LEASES.claim(session, ticket, owner=context.owner, lease_seconds=LEASE_SECONDS)
    assert claimed is not None
    return claimed, video_id


def _complete(context: Context, claimed: Claim, result: ScreeningResult) -> list[list[ExplanationResult]]:
    """Store the result and explain its flagged frames."""
    with transaction(context.engine) as session:
        flagged = complete(session, claimed, result)
    return [_explain(context, id_) for id_ in flagged]


def _explain(
    context: Context, flagged_frame_id: int, known: Iterable[ExplanationResult] | None = None
) -> list[ExplanationResult]:
    """Store `known` explanations of a flagged frame, or else make them."""
    ticket = Ticket(row_id=flagged_frame_id, attempt=1)
    with transaction(context.engine) as session:
        taken = explanations.LEASES.claim(session, ticket, owner=context.owner, lease_seconds=LEASE_SECONDS)
    assert taken is not None
    results = list(explain_frame(context, taken, heartbeat=lambda: None) if known is None else known)
    with transaction(context.engine) as session:
        for each in results:
            explanations.store(session, taken, each)
        explanations.finish(session, taken)
    return results


def _other(
    context: Context,
    name: str,
    became: str,
    score: float | None,
    hours: int,
    like: "Made",
    classifier: Classifier,
) -> int:
    """A video in the state `became`, its picture and faces those of `like`."""
    content, result = like.content, like.result
    # A trailing `free` box makes each file content of its own and leaves the film as it is.
    content += b"\x00\x00\x00\x28free" + name.encode()[:32].ljust(32)
    claimed, video_id = _claim(context, name, content, classifier.version)
    flagged: list[int] = []
    with transaction(context.engine) as session:
        if became == "failed":
            screenings.LEASES.fail(session, claimed, _failure(name))
        elif became == "queued":
            _back_to_the_queue(session, claimed)
        else:
            moved = _rescored(result, Verdict(became), score, classifier.version)
            flagged = complete(session, claimed, moved)
        if hours:
            _age(session, video_id, hours)
    for id_, known in zip(flagged, like.explained, strict=False):
        _explain(context, id_, known)
    return video_id


def _failure(name: str) -> FacewardenError:
    if "voice" in name:
        return NoVideoStream(name=name, streams="audio (aac)")
    return BrokenMedia(name=name, reason="the moov atom is missing")


def _back_to_the_queue(session: Session, claimed: Claim) -> None:
    session.execute(
        update(Screening)
        .where(Screening.id == claimed.ticket.row_id)
        .values(status="queued", lease_owner=None, lease_expires_at=None, started_at=None)
    )


def _age(session: Session, video_id: int, hours: int) -> None:
    then = utc_now() - timedelta(hours=hours)
    session.execute(update(Video).where(Video.id == video_id).values(created_at=then))
    session.execute(
        update(Screening)
        .where(Screening.video_id == video_id)
        .values(added_at=then, queued_at=then, finished_at=then + timedelta(seconds=20))
    )


def _rescored(
    result: ScreeningResult, verdict: Verdict, score: float | None, version: ModelVersion
) -> ScreeningResult:
    """The result with another verdict: its tracks and faces moved to the score."""
    if verdict is Verdict.UNJUDGED:
        return _unjudged(result)
    if score is None:
        return replace(
            result, verdict=verdict, score=None, raw_score=None, tracks=[], faces=[], flagged_frames=[]
        )
    slope, intercept = version.calibration.slope, version.calibration.intercept
    raw = (np.log(score / (1 - score)) - intercept) / slope
    shift = raw - max(track.raw_score for track in result.tracks if track.raw_score is not None)
    flagged: Sequence = result.flagged_frames if verdict.flagged else []
    return replace(
        result,
        verdict=verdict,
        score=score,
        raw_score=float(raw),
        coverage=0.62 if score == 0.71 else 1.0,
        tracks=[_moved_track(track, shift, version) for track in result.tracks],
        faces=[replace(f, logit=None if f.logit is None else f.logit + shift) for f in result.faces],
        flagged_frames=[replace(frame, score=score) for frame in flagged],
    )


def _unjudged(result: ScreeningResult) -> ScreeningResult:
    """The result as if its faces were all in profile, but for one that is blurred."""
    reasons = ["blurred", *["turned"] * (len(result.faces) - 1)]
    return replace(
        result,
        verdict=Verdict.UNJUDGED,
        score=None,
        raw_score=None,
        rejected_faces={"turned": len(reasons) - 1, "blurred": 1},
        tracks=[
            replace(track, usable_frames=0, score=None, raw_score=None, supported=False)
            for track in result.tracks
        ],
        faces=[
            replace(face, rejected_because=reason, logit=None)
            for face, reason in zip(result.faces, reasons, strict=True)
        ],
        flagged_frames=[],
    )


def _moved_track(track, shift: float, version: ModelVersion):  # noqa: ANN001, ANN202
    if track.raw_score is None:
        return track
    raw = track.raw_score + shift
    return replace(track, raw_score=raw, score=version.calibration.probability(raw))
