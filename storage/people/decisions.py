"""Reviewers' decisions. All are kept; each reviewer's last one counts.

A video is open until somebody decides. It then waits for a second reviewer if the first one asks for one, if
it was drawn for double review, or if the reviewers disagree without a majority.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core.errors import HeldByAnother, NotFound
from core.outcomes import DecisionOutcome, DecisionState
from storage import audit
from storage.clock import database_now
from storage.tables import Account, Decision, ReviewClaim, Screening, Video
from storage.webhooks import outbox

# What counts as an answer when comparing reviewers; asking for a second opinion does not.
ANSWERS = (DecisionOutcome.FAKE, DecisionOutcome.GENUINE, DecisionOutcome.UNSURE)


@dataclass(frozen=True, kw_only=True)
class DecisionView:
    id: int
    account_id: int
    account: str  # its name
    outcome: str
    reason: str | None
    note: str | None
    blind: bool  # the score was hidden from the reviewer
    screening_id: int | None  # the one that the reviewer saw
    model_version: str | None  # of that screening
    score: float | None  # that screening's score now, [0, 1]
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class PairAgreement:
    first: str  # account names
    second: str
    videos: int  # answered by both
    observed: float  # share of the videos with the same answer, [0, 1]
    kappa: float | None  # None if chance alone would agree on everything


@dataclass(frozen=True, kw_only=True)
class Agreement:
    videos: int  # answered by at least two reviewers
    observed: float | None  # agreement of the first two answers, [0, 1]; None without such videos
    kappa: float | None
    matrix: dict[str, dict[str, int]]  # first reviewer's answer -> second's -> videos
    pairs: list[PairAgreement]  # most videos first


def decide(
    session: Session,
    *,
    video_id: int,
    account_id: int,
    outcome: DecisionOutcome,
    reason: str | None = None,
    note: str | None = None,
    blind: bool = False,
    double_review: float = 0.0,
) -> DecisionState:
    """Store a decision, end the account's claim, and return the video's new state.

    `double_review` is the share of all videos, in [0, 1], that two reviewers must see. The video's hash
    determines which ones, so that nobody can choose.

    Raises NotFound if there is no such video, HeldByAnother while another reviewer has claimed it.
    """
    # Locks the row: two reviewers deciding at once must see each other's decision.
    sha256 = session.scalar(select(Video.sha256).where(Video.id == video_id).with_for_update())
    if sha256 is None:
        raise NotFound(what="Video", key=video_id)
    _end_claim(session, video_id, account_id)
    screening_id = session.scalar(
        select(Screening.id).where(Screening.video_id == video_id).order_by(Screening.latest.desc()).limit(1)
    )
    decision = Decision(
        video_id=video_id,
        screening_id=screening_id,
        account_id=account_id,
        outcome=outcome,
        reason=reason or None,
        note=note or None,
        blind=blind,
    )
    session.add(decision)
    session.flush()
    state = _state(_last_answers(session, [video_id])[video_id], twice=drawn(sha256, double_review))
    session.execute(update(Screening).where(Screening.video_id == video_id).values(decision_state=state))
    actor = session.scalar(select(Account.name).where(Account.id == account_id)) or str(account_id)
    audit.record(
        session,
        actor=actor,
        action="video.decided",
        subject=sha256,
        outcome=outcome,
        blind=blind,
        state=state,
    )
    outbox.decided(
        session, video_id=video_id, decision_id=decision.id, account=actor, outcome=outcome, state=state
    )
    return state


def _end_claim(session: Session, video_id: int, account_id: int) -> None:
    claim = session.get(ReviewClaim, video_id)
    if claim is None:
        return
    if claim.account_id != account_id and claim.expires_at > database_now(session):
        raise HeldByAnother(what="Video", key=video_id, until=claim.expires_at.isoformat(timespec="seconds"))
    session.delete(claim)


def drawn(sha256: str, part: float) -> bool:
    """Whether the video is in the share `part` of all videos that two reviewers must see."""
    return int(sha256[:8], 16) < part * 2**32


def _state(answers: dict[int, str], *, twice: bool) -> DecisionState:
    """The state that follows from each account's last answer, in the order given."""
    if not answers:
        return DecisionState.OPEN
    if list(answers.values())[-1] == DecisionOutcome.SECOND_OPINION:
        return DecisionState.SECOND_OPINION
    given = Counter(answers.values())
    if given[DecisionOutcome.FAKE] and given[DecisionOutcome.FAKE] == given[DecisionOutcome.GENUINE]:
        return DecisionState.SECOND_OPINION  # a tie
    if twice and sum(given[answer] for answer in ANSWERS) < 2:
        return DecisionState.SECOND_OPINION
    return DecisionState.DECIDED


def _last_answers(session: Session, video_ids: Sequence[int]) -> dict[int, dict[int, str]]:
    """For each video the last outcome of each account, in the order of these decisions."""
    query = select(Decision.video_id, Decision.account_id, Decision.outcome)
    found: dict[int, dict[int, str]] = defaultdict(dict)
    for video_id, account_id, outcome in session.execute(
        query.where(Decision.video_id.in_(video_ids)).order_by(Decision.id)
    ):
        found[video_id].pop(account_id, None)
        found[video_id][account_id] = outcome
    return found


def history(session: Session, video_id: int) -> list[DecisionView]:
    """All decisions on a video, the oldest first."""
    query = (
        select(Decision, Account.name, Screening.model_version_id, Screening.score)
        .join(Account, Account.id == Decision.account_id)
        .outerjoin(Screening, Screening.id == Decision.screening_id)
        .where(Decision.video_id == video_id)
        .order_by(Decision.id)
    )
    return [
        DecisionView(
            id=row.id,
            account_id=row.account_id,
            account=name,
            outcome=row.outcome,
            reason=row.reason,
            note=row.note,
            blind=row.blind,
            screening_id=row.screening_id,
            model_version=model_version,
            score=score,
            created_at=row.created_at,
        )
        for row, name, model_version, score in session.execute(query)
    ]


def has_decided(session: Session, *, video_id: int, account_id: int) -> bool:
    query = select(Decision.id).where(Decision.video_id == video_id, Decision.account_id == account_id)
    return session.scalar(query.limit(1)) is not None


def agreement(session: Session, *, since: datetime | None = None) -> Agreement:
    """How much reviewers agree beyond chance, on videos that at least two answered since then.

    Cohen's kappa (Cohen 1960, "A coefficient of agreement for nominal scales"): over all videos for the
    first two reviewers who answered, and for each pair of reviewers. Each reviewer's last answer counts.
    """
    query = select(Decision.video_id, Decision.account_id, Account.name, Decision.outcome)
    query = query.join(Account, Account.id == Decision.account_id).where(Decision.outcome.in_(ANSWERS))
    if since is not None:
        query = query.where(Decision.created_at >= since)
    names: dict[int, str] = {}
    by_video: dict[int, dict[int, str]] = defaultdict(dict)
    for video_id, account_id, name, outcome in session.execute(query.order_by(Decision.id)):
        names[account_id] = name
        by_video[video_id][account_id] = outcome  # keeps the position of the account's first answer
    pooled: list[tuple[str, str]] = []
    pairs: dict[tuple[int, int], list[tuple[str, str]]] = defaultdict(list)
    for answers in by_video.values():
        if len(answers) < 2:
            continue
        first, second, *_ = answers.values()
        pooled.append((first, second))
        accounts = sorted(answers)
        for place, one in enumerate(accounts):
            for other in accounts[place + 1 :]:
                pairs[one, other].append((answers[one], answers[other]))
    return Agreement(
        videos=len(pooled),
        observed=_observed(pooled) if pooled else None,
        kappa=kappa(pooled),
        matrix=_matrix(pooled),
        pairs=[
            PairAgreement(
                first=names[one],
                second=names[other],
                videos=len(answered),
                observed=_observed(answered),
                kappa=kappa(answered),
            )
            for (one, other), answered in sorted(pairs.items(), key=lambda entry: -len(entry[1]))
        ],
    )


def kappa(answers: Sequence[tuple[str, str]]) -> float | None:
    """Cohen's kappa of two raters' answers, in [-1, 1]; None where it is undefined."""
    if not answers:
        return None
    first = Counter(one for one, _ in answers)
    second = Counter(other for _, other in answers)
    by_chance = sum(first[answer] * second[answer] for answer in first) / len(answers) ** 2
    if by_chance == 1:
        return None  # both always gave the same single answer
    return (_observed(answers) - by_chance) / (1 - by_chance)


def _observed(answers: Sequence[tuple[str, str]]) -> float:
    return sum(one == other for one, other in answers) / len(answers)


def _matrix(answers: Sequence[tuple[str, str]]) -> dict[str, dict[str, int]]:
    counted = Counter(answers)
    return {one.value: {other.value: counted[one.value, other.value] for other in ANSWERS} for one in ANSWERS}
