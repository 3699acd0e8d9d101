"""Verdicts from stored logits: what is read for them, and how another policy's answers are stored.

No lease is taken: an answer is written only over the very one that it was computed beside, which the row's
`revision` tells, so a screening that was asked for meanwhile, or another run of this, is left alone.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core.outcomes import Replaced, ScreeningStatus, Verdict
from storage import audit, earlier_answers, values
from storage.tables import FaceRow, FaceTrack, FrameScore, Screening
from storage.webhooks import outbox


@dataclass(frozen=True, kw_only=True)
class StoredTrack:
    """A face track, with what was classified of it, by time."""

    id: int
    score: float | None
    raw_score: float | None
    supported: bool
    flagged_ranges: list[list[float]]
    family: str | None
    family_probability: float | None
    times: list[float]  # seconds
    logits: list[float]


@dataclass(frozen=True, kw_only=True)
class StoredScores:
    """A screening that is done, with all that its verdict followed from."""

    id: int
    video_id: int
    model_version_id: str
    source: str
    revision: int
    policy: str | None
    verdict: str
    score: float | None
    raw_score: float | None
    looks: float | None
    coverage: float | None
    mostly_damaged: bool | None
    tracks: list[StoredTrack]  # by number


@dataclass(frozen=True, kw_only=True)
class TrackAnswer:
    """What another policy makes of a track; the names are those of the columns."""

    id: int
    score: float | None
    raw_score: float | None
    flagged_ranges: list[list[float]]
    family: str | None
    family_probability: float | None


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What another policy makes of a screening."""

    before: StoredScores
    policy: str
    verdict: Verdict
    score: float | None
    raw_score: float | None
    looks: float | None
    tracks: list[TrackAnswer]  # those that change

    @property
    def flips(self) -> bool:
        return self.verdict != self.before.verdict

    @property
    def changes(self) -> bool:
        """Whether anything but the name of the policy does."""
        old = self.before
        answers = (self.score, self.raw_score, self.looks) != (old.score, old.raw_score, old.looks)
        return self.flips or answers or bool(self.tracks)


def policies(session: Session, screening_ids: Sequence[int]) -> dict[int, tuple[str, str | None]]:
    """By id, of those that are done: the model version, and the policy that gave the verdict."""
    columns = select(Screening.id, Screening.model_version_id, Screening.policy)
    done = (Screening.id.in_(screening_ids), Screening.status == ScreeningStatus.DONE)
    return {number: (version, policy) for number, version, policy in session.execute(columns.where(*done))}


def stored_scores(session: Session, screening_ids: Sequence[int]) -> list[StoredScores]:
    """Those of the screenings that are done, by id."""
    done = (Screening.id.in_(screening_ids), Screening.status == ScreeningStatus.DONE)
    rows = session.scalars(select(Screening).where(*done).order_by(Screening.id)).all()
    tracks = _tracks(session, [row.id for row in rows])
    return [values.of_row(StoredScores, row, tracks=tracks.get(row.id, [])) for row in rows]


def _tracks(session: Session, screening_ids: Sequence[int]) -> dict[int, list[StoredTrack]]:
    times: dict[int, list[float]] = defaultdict(list)
    logits: dict[int, list[float]] = defaultdict(list)
    judged = (
        select(FaceRow.track_id, FaceRow.time_seconds, FrameScore.logit)
        .join(FrameScore, FrameScore.face_id == FaceRow.id)
        .where(FaceRow.screening_id.in_(screening_ids))
        .order_by(FaceRow.id)  # in which they were found
    )
    for track_id, seconds, logit in session.execute(judged):
        times[track_id].append(seconds)
        logits[track_id].append(logit)
    found: dict[int, list[StoredTrack]] = defaultdict(list)
    wanted = select(FaceTrack).where(FaceTrack.screening_id.in_(screening_ids))
    for row in session.scalars(wanted.order_by(FaceTrack.screening_id, FaceTrack.number)):
        found[row.screening_id].append(
            values.of_row(StoredTrack, row, times=times[row.id], logits=logits[row.id])
        )
    return found


def store(session: Session, answers: Sequence[Answer], *, actor: str) -> list[Answer]:
    """Let these be the screenings' answers, with one entry in the audit log; returns those that were written.

    The answer before is kept, decisions stay, and receivers are told of verdicts that flip. Left alone is a
    screening whose answer is no longer the one that was read.
    """
    revisions = {each.before.id: each for each in answers}
    rows = session.scalars(
        select(Screening)
        .where(Screening.id.in_(revisions), Screening.status == ScreeningStatus.DONE)
        .order_by(Screening.id)
        .with_for_update()
    ).all()
    written = [_write(session, row, revisions[row.id]) for row in rows if _unchanged(row, revisions[row.id])]
    session.flush()
    changed = [each for each in written if each.changes]
    for each in changed:
        if each.flips:
            outbox.screened(session, each.before.id)
    if changed:
        audit.record(
            session,
            actor=actor,
            action="screenings.reaggregated",
            subject=f"{len(changed)} screenings",
            policies=sorted({each.policy for each in changed}),
            flips=[[each.before.id, each.before.verdict, each.verdict] for each in changed if each.flips],
            screenings=[each.before.id for each in changed],
        )
    return written


def _unchanged(row: Screening, answer: Answer) -> bool:
    return (row.revision, row.verdict) == (answer.before.revision, answer.before.verdict)


def _write(session: Session, row: Screening, answer: Answer) -> Answer:
    if answer.changes:
        earlier_answers.keep(session, row, Replaced.REAGGREGATED)
        row.verdict, row.looks = answer.verdict, answer.looks
        row.score, row.raw_score = answer.score, answer.raw_score
        changed: list[dict[str, Any]] = [vars(track) for track in answer.tracks]
        if changed:
            session.execute(update(FaceTrack), changed)
    row.policy = answer.policy
    return answer
