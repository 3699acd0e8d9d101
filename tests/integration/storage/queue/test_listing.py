"""The queue gives what its filters say, in their order, page by page, whichever way the plan takes."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, insert, select
from sqlalchemy.orm import Session

from core.errors import InvalidQuery
from core.families import Family
from core.outcomes import DecisionState, ScreeningStatus, Verdict
from storage.engine import reading, transaction
from storage.queue import listing, plan
from storage.queue.filters import Filters, Position, Sort, parse_cursor
from storage.queue.plan import Found
from storage.tables import Base, FaceTrack, ModelVersionRow, Screening, Sighting, Video

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
VIDEOS = 150
SOURCES = ("bucket:/in", "upload")
SCORED = (Verdict.FAKE, Verdict.SUSPECT, Verdict.CLEAR)
FACES = (Family.SWAP, Family.GENERATE, None)  # what the faces of a flagged video resemble
WORDS = ("Ünïçödé", "news 100%", "holiday_2026", 'say "hi"', "plain")


@pytest.fixture
def filled(engine: Engine) -> Engine:
    """Videos drawn from a seed; every fifth has been screened by a second model, which stands for it."""
    chance = random.Random(7)
    with transaction(engine) as session:
        for number in (1, 2):
            session.add(
                ModelVersionRow(
                    id=f"m-{number}",
                    architecture="m",
                    label="m",
                    weights_sha256="0" * 64,
                    input_size=64,
                    details={},
                )
            )
        for number in range(VIDEOS):
            _add_video(session, chance, number)
    return engine


def _add_video(session: Session, chance: random.Random, number: int) -> None:
    added_at = BEGIN + timedelta(minutes=chance.randrange(500))
    source = chance.choice(SOURCES)
    video = Video(
        sha256=f"{number:064x}", size_bytes=1, media_kind="video", object_key="k", created_at=added_at
    )
    session.add(video)
    session.flush()
    name = f"{chance.choice(WORDS)}/{number:03}.mp4"
    session.add(Sighting(source=source, name=name, size_bytes=1, mtime_ns=number, video_id=video.id))
    versions = ("m-1", "m-2") if number % 5 == 0 else ("m-1",)
    state = chance.choice(tuple(DecisionState))
    for version in versions:
        status = chance.choice(tuple(ScreeningStatus))
        verdict = chance.choice(tuple(Verdict)) if status is ScreeningStatus.DONE else None
        screening = Screening(
            video_id=video.id,
            model_version_id=version,
            status=status,
            verdict=verdict,
            # Few different scores: ties must be broken by the id.
            score=chance.randrange(20) / 20 if verdict in SCORED else None,
            error_code="broken_media" if status is ScreeningStatus.FAILED else None,
            decision_state=state,
            latest=version == versions[-1],
            added_at=added_at,
            source=source,
        )
        session.add(screening)
        session.flush()
        if verdict is not None and verdict.flagged:
            session.add_all(_track(screening.id, number, family) for number, family in enumerate(FACES))


def _track(screening_id: int, number: int, family: Family | None) -> FaceTrack:
    return FaceTrack(
        screening_id=screening_id,
        number=number,
        start_seconds=0,
        end_seconds=1,
        frames=1,
        usable_frames=1,
        supported=True,
        # Of every third screening nothing is known.
        family=family if screening_id % 3 else None,
    )


def expected(session: Session, filters: Filters) -> list[int]:
    """The screenings by the plainest means: all of them, filtered and sorted in Python."""
    names = {row.video_id: row.folded_name for row in session.scalars(select(Sighting))}
    like = {(row.screening_id, row.family) for row in session.scalars(select(FaceTrack))}

    def fits(row: Screening) -> bool:
        scored = row.score is not None
        stands = row.latest or filters.every_screening
        return (
            (stands if filters.model_version is None else row.model_version_id == filters.model_version)
            and (not filters.verdicts or row.verdict in filters.verdicts)
            and (not filters.statuses or row.status in filters.statuses)
            and (not filters.decision_states or row.decision_state in filters.decision_states)
            and (not filters.families or any((row.id, each) in like for each in filters.families))
            and (filters.source is None or row.source == filters.source)
            and (filters.score_min is None or (scored and (row.score or 0) >= filters.score_min))
            and (filters.score_max is None or (scored and (row.score or 0) <= filters.score_max))
            and (filters.since is None or row.added_at >= filters.since)
            and (filters.until is None or row.added_at < filters.until)
            and (filters.text is None or filters.text.casefold() in names[row.video_id])
        )

    sign = 1 if filters.ascending else -1

    def place(row: Screening) -> tuple[float, ...]:
        if filters.every_screening:
            return (sign * row.id,)
        if filters.sort is Sort.TIME:
            return (0, sign * row.added_at.timestamp(), sign * row.id)
        return (row.score is None, sign * (row.score or 0), sign * row.id)

    return [row.id for row in sorted(filter(fits, session.scalars(select(Screening))), key=place)]


def paged(session: Session, filters: Filters, limit: int) -> list[int]:
    found: list[int] = []
    cursor = None
    while True:
        page = listing.page(session, filters, cursor=cursor, limit=limit)
        found += [item.screening_id for item in page.items]
        if page.next_cursor is None:
            return found
        assert len(page.items) == limit
        cursor = page.next_cursor


def some_filters() -> list[Filters]:
    chance = random.Random(11)

    def some(members: Sequence[str]) -> tuple[str, ...]:
        return tuple(chance.sample(members, chance.randrange(len(members))))

    def maybe(value: object) -> object:
        return value if chance.random() < 0.35 else None

    made: list[Filters] = []
    for _ in range(14):
        values: dict[str, object] = {
            "verdicts": some(tuple(Verdict)) if chance.random() < 0.5 else (),
            "statuses": some(tuple(ScreeningStatus)) if chance.random() < 0.3 else (),
            "decision_states": some(tuple(DecisionState)) if chance.random() < 0.5 else (),
            "score_min": maybe(0.3),
            "score_max": maybe(0.8),
            "since": maybe(BEGIN + timedelta(minutes=100)),
            "until": maybe(BEGIN + timedelta(minutes=400)),
            "source": maybe("upload"),
            "model_version": maybe("m-1"),
            "text": maybe(chance.choice(("ÜNÏÇ", "100%", "y_2", '"hi"', "/01", "no such name"))),
            "sort": chance.choice(tuple(Sort)),
            "ascending": chance.random() < 0.3,
        }
        made.append(Filters(**values))  # type: ignore[arg-type]
    alike = [
        Filters(families=(Family.SWAP,)),
        Filters(
            families=(Family.SWAP, Family.LIPSYNC), verdicts=(Verdict.FAKE, Verdict.CLEAR), sort=Sort.TIME
        ),
        Filters(families=(Family.GENERATE,), text="100%", score_min=0.3),
        Filters(families=(Family.GENERATE,), since=BEGIN + timedelta(minutes=100), model_version="m-1"),
        Filters(families=(Family.LIPSYNC,)),
        Filters(families=(Family.SWAP,), verdicts=(Verdict.CLEAR,)),
    ]
    return [Filters(), Filters(sort=Sort.TIME), *alike, *made]


@pytest.mark.parametrize("few", [0, 100_000])
def test_pages_together_are_the_filtered_and_sorted_whole(
    filled: Engine, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "FEW", few)  # 0: always along the order; 100,000: always all that match
    with reading(filled) as session:
        for filters in some_filters():
            whole = expected(session, filters)
            assert paged(session, filters, limit=60) == whole, filters
            counted = listing.count(session, filters)
            assert (counted.value, counted.more) == (len(whole), False), filters


def test_every_screening_that_fits_is_found_by_number(filled: Engine) -> None:
    with reading(filled) as session:
        for filters in (replace(each, every_screening=True) for each in some_filters()):
            found: list[Found] = []
            while rows := plan.find(
                session, filters, limit=60, after=found[-1].position(filters) if found else None
            ):
                found += rows
            assert [row.id for row in found] == expected(session, filters), filters
        replaced = expected(session, Filters(every_screening=True))
        assert len(replaced) > VIDEOS, "two of the same video, too"


def test_a_count_stops_and_says_so(filled: Engine) -> None:
    with reading(filled) as session:
        assert str(listing.count(session, Filters(), at_most=100)) == "100+"
        assert str(listing.count(session, Filters())) == str(VIDEOS)
        assert listing.counts(session).to_review.value == len(
            expected(
                session,
                Filters(
                    verdicts=(Verdict.FAKE, Verdict.SUSPECT, Verdict.UNJUDGED),
                    decision_states=(DecisionState.OPEN,),
                ),
            )
        )


def test_a_search_finds_a_name_as_it_is_typed(filled: Engine) -> None:
    with reading(filled) as session:
        for typed in ("Ünïçödé", "U\u0308nïçödé", "ÜNÏÇÖDÉ", "news 100%", 'SAY "HI"', "holiday_2026"):
            items = listing.page(session, Filters(text=typed)).items
            assert items, typed
        for typed in ("holidayX2026", "news 1000", "%%%", "___"):  # no wildcard is left in it
            assert listing.page(session, Filters(text=typed)).items == [], typed


@pytest.mark.parametrize("text", ["", "ab", " a ", "x" * 201, "a\0bc"])
def test_a_text_that_no_index_can_find_is_refused(engine: Engine, text: str) -> None:
    with reading(engine) as session, pytest.raises(InvalidQuery):
        listing.page(session, Filters(text=text))


def test_a_cursor_comes_back_as_it_went(engine: Engine) -> None:
    del engine
    for position, sort in (
        (Position(id=7, score=0.1 + 0.2, added_at=None), Sort.SCORE),
        (Position(id=7, score=None, added_at=None), Sort.SCORE),
        (Position(id=7, score=None, added_at=BEGIN), Sort.TIME),
    ):
        assert parse_cursor(position.to_cursor(), sort) == position


def test_each_list_page_walks_along_an_index(filled: Engine) -> None:
    """No plan of the ordinary lists may sort or read the whole table."""
    if filled.dialect.name != "sqlite":
        pytest.skip(
            "PostgreSQL reads a table of 300 rows whole, rightly; bench/review.py measures it at full size"
        )
    plans: list[str] = []
    with reading(filled) as session:
        connection = session.connection()
        for filters in (
            Filters(),
            Filters(sort=Sort.TIME),
            Filters(source="upload"),
            Filters(model_version="m-1"),
        ):
            query = plan._plan(
                session, filters, None, plan._Order.SCORED, after=None, limit=50, extra_filters=[]
            ).compile(connection, compile_kwargs={"literal_binds": True})
            plans += [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}")]
    assert any("USING INDEX ix_screening_queue_score" in line or "COVERING INDEX" in line for line in plans)
    assert not [line for line in plans if "TEMP B-TREE" in line or line.startswith("SCAN screening")]


def test_what_the_tables_list_is_in_the_database(engine: Engine) -> None:
    """The bulk inserts of the bench rely on it."""
    with transaction(engine) as session:
        session.execute(insert(Sighting), [{"source": "s", "name": "ÀB.mp4", "size_bytes": 1, "mtime_ns": 1}])
        assert session.scalar(select(Sighting.folded_name)) == "àb.mp4"
    assert "screening" in Base.metadata.tables
