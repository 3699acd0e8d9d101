"""What must be true once all is over, however often something was killed."""

from collections import Counter
from dataclasses import dataclass

from sqlalchemy import Engine, func, select

from core.outcomes import ExplainStatus, ScreeningStatus
from core.settings import Settings, SweepSettings
from storage import audit, sweep
from storage.engine import reading
from storage.objects.choice import open_store
from storage.tables import AuditEvent, ExplanationRow, FlaggedFrame, Screening, Sighting

ENDED = (ScreeningStatus.DONE, ScreeningStatus.FAILED)
METHODS = 2  # explanations of each flagged frame


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What changes for as long as the system gets on."""

    screenings: int
    ended: int
    unexplained: int
    attempts: int  # of all screenings together


@dataclass(frozen=True, kw_only=True)
class Findings:
    videos: int  # put into the bucket
    verdicts: dict[str, int]  # how many videos have each
    failed: dict[str, int]  # screenings, by their error's code: none should
    unfinished: int  # videos without a verdict
    several: int  # videos with more than one screening, or more than one end in the log
    attempts: int  # begun beyond the first one
    half_explained: int  # flagged frames that lack an explanation, or have one twice
    chain: bool  # the audit log is whole, and what it said on the way is in it
    objects: int
    orphans: int  # objects that no row names, however young
    missing: int  # objects that a row names
    half_written: int

    @property
    def faults(self) -> list[str]:
        counted = ("unfinished", "several", "half_explained", "orphans", "missing")
        found = [f"{name}: {getattr(self, name)}" for name in counted if getattr(self, name)]
        found += [f"failed with {code}: {number}" for code, number in self.failed.items()]
        return found if self.chain else [*found, "the audit log is broken"]


def progress(engine: Engine) -> Progress:
    """Raises ServiceUnavailable while the database is away."""
    with reading(engine) as session:
        rows = session.execute(
            select(
                func.count(),
                func.count().filter(Screening.status.in_(ENDED)),
                func.coalesce(func.sum(Screening.attempt), 0),
            ).select_from(Screening)
        ).one()
        waits = select(func.count()).where(FlaggedFrame.explain_status == ExplainStatus.QUEUED)
        return Progress(
            screenings=rows[0], ended=rows[1], attempts=rows[2], unexplained=session.scalar(waits) or 0
        )


def head(engine: Engine) -> str:
    """The last hash of the audit log, to be found in it later."""
    with reading(engine) as session:
        return audit.verify(session).head


def findings(settings: Settings, engine: Engine, videos: int, heads: list[str]) -> Findings:
    with reading(engine) as session:
        rows = session.scalars(select(Screening)).all()
        verdicts = Counter(str(row.verdict) for row in rows if row.status == ScreeningStatus.DONE)
        failed = Counter(str(row.error_code) for row in rows if row.status == ScreeningStatus.FAILED)
        seen = session.scalar(select(func.count(Sighting.name.distinct()))) or 0
        of_video = Counter(row.video_id for row in rows)
        ends = Counter(
            session.scalars(select(AuditEvent.subject).where(AuditEvent.action == "screening.done"))
        )
        explained = session.execute(
            select(func.count(ExplanationRow.id), func.count(ExplanationRow.method.distinct()))
            .select_from(FlaggedFrame)
            .outerjoin(ExplanationRow, ExplanationRow.flagged_frame_id == FlaggedFrame.id)
            .group_by(FlaggedFrame.id)
        ).all()
        chain = all(audit.verify(session, expected=each).sound for each in heads)
    everything = SweepSettings.model_construct(hour=-1, grace_hours=0.0, max_fraction=1.0)  # however young
    store = sweep.look(engine, open_store(settings), everything)
    return Findings(
        videos=videos,
        verdicts=dict(verdicts),
        failed=dict(failed),
        unfinished=videos - min(seen, sum(verdicts.values())),
        several=sum(number > 1 for number in [*of_video.values(), *ends.values()]),
        attempts=sum(row.attempt - 1 for row in rows),
        half_explained=sum(tuple(each) != (METHODS, METHODS) for each in explained),
        chain=chain,
        objects=store.objects,
        orphans=store.orphans,
        missing=store.missing,
        half_written=store.half_written,
    )
