"""Known content on both databases: hashes, what matches, what is shown of it."""

import pytest
from sqlalchemy import Engine, delete, func, select

from core.errors import InvalidValue, NotFound
from core.known import FrameHash, KnownContent
from core.outcomes import DecisionOutcome
from storage.engine import reading, single, transaction
from storage.known import hashes, lists, matching
from storage.known import index as module
from storage.known.index import HashIndex
from storage.known.list_files import Entry, ListFile
from storage.people import decisions
from storage.queue import listing
from storage.queue.filters import Filters
from storage.read import known
from storage.tables import Account, FrameHashRow, KnownMatch, Video
from tests.known_videos import SETTINGS, scene, scenes, screened
from tests.screening_results import register_model


@pytest.fixture
def index() -> HashIndex:
    return HashIndex()


@pytest.fixture
def house(engine: Engine) -> Engine:
    with transaction(engine) as session:
        register_model(session)
        session.add(Account(name="ada", role="reviewer"))
    return engine


def alike(engine: Engine, number: int) -> list[KnownContent]:
    with reading(engine) as session:
        return known.of_videos(session, {number}).get(number, [])


def test_a_trimmed_and_worn_copy_shows_its_original_and_the_decision_on_it(
    house: Engine, index: HashIndex
) -> None:
    screened(house, index, 1, scenes(1, 2, 3, 4))
    screened(house, index, 2, scenes(3, 4, changed=12))
    screened(house, index, 3, scenes(70, 80))  # something else
    (found,) = alike(house, 2)
    assert (found.video_id, found.name, found.distance) == (1, "1.mp4", 12)
    assert (found.share, found.other_share, found.mirrored) == (1.0, 0.5, False)
    assert found.decision is None
    assert alike(house, 3) == []
    with reading(house) as session:
        assert listing.count(session, Filters(known=True)).value == 0

    with transaction(house) as session:
        decisions.decide(session, video_id=1, account_id=1, outcome=DecisionOutcome.FAKE)
    (found,) = alike(house, 2)
    assert found.decision is not None
    assert (found.decision.outcome, found.decision.account) == ("fake", "ada")
    (other,) = alike(house, 1)  # both ways, though only one was screened later
    assert (other.video_id, other.share, other.other_share) == (2, 0.5, 1.0)
    with reading(house) as session:
        shown = [item.video_id for item in listing.page(session, Filters(known=True)).items]
    assert shown == [2]


def test_too_small_a_part_and_too_great_a_distance_are_no_match(house: Engine, index: HashIndex) -> None:
    screened(house, index, 1, scenes(1, 2, 3, 4, 5))
    screened(house, index, 2, scenes(5, 6, 7, 8, 9))
    screened(house, index, 3, scenes(1, 2, 3, 4, 5, changed=32))
    assert alike(house, 2) == alike(house, 3) == []
    screened(house, index, 4, scenes(1, 2, 3, 4, 5, changed=31))
    assert [(each.video_id, each.distance) for each in alike(house, 4)] == [(3, 1), (1, 31)]


def test_the_mirror_image_is_recognised(house: Engine, index: HashIndex) -> None:
    screened(house, index, 1, scenes(1, 2))
    turned = [
        FrameHash(time_seconds=each.time_seconds, pdq=each.mirrored, mirrored=each.pdq, quality=90)
        for each in scenes(1, 2)
    ]
    screened(house, index, 2, turned)
    (found,) = alike(house, 2)
    assert (found.video_id, found.mirrored, found.distance, found.share) == (1, True, 0, 1.0)


def test_of_two_that_are_screened_at_once_one_sees_the_other(house: Engine) -> None:
    mine, theirs = HashIndex(), HashIndex()
    screened(house, mine, 1, scenes(1, 2))
    with reading(house) as session:
        assert matching.find(session, theirs, 9, scenes(1, 2), SETTINGS) != []
    screened(house, theirs, 2, scenes(1, 2))  # another process, whose index has to catch up
    assert [each.video_id for each in alike(house, 1)] == [2]


@pytest.mark.parametrize("asked", [0, 200])
def test_what_is_committed_late_with_a_lower_number_is_found(
    house: Engine, index: HashIndex, monkeypatch: pytest.MonkeyPatch, asked: int
) -> None:
    monkeypatch.setattr(module, "MOST_ASKED", asked)
    with transaction(house) as session:
        session.add(Video(id=1, sha256="e" * 64, size_bytes=1, media_kind="video", object_key="k"))

    def added(number: int) -> None:
        with transaction(house) as session:
            session.add(FrameHashRow(id=number, video_id=1, **vars(scene(number))))

    def known_to_it() -> set[int]:
        with reading(house) as session:
            index.follow(session)
        return {one for one in range(1, 9) if index.search([scene(one).pdq], 0).ids.size == 1}

    added(1)
    added(5)
    assert known_to_it() == {1, 5}
    added(6)
    added(3)
    assert known_to_it() == {1, 3, 5, 6}
    added(4)
    added(8)
    added(2)
    assert known_to_it() == {1, 2, 3, 4, 5, 6, 8}
    assert known_to_it() == {1, 2, 3, 4, 5, 6, 8}
    assert len(index) == 7


def test_hashes_are_stored_once_and_go_with_their_video(house: Engine, index: HashIndex) -> None:
    screened(house, index, 1, scenes(1, 2))
    screened(house, index, 2, scenes(1, 2))
    with transaction(house) as session:
        before = session.scalars(select(FrameHashRow.id).order_by(FrameHashRow.id)).all()
        hashes.keep(session, 1, scenes(1, 2))  # the job ran twice
        assert session.scalars(select(FrameHashRow.id).order_by(FrameHashRow.id)).all() == before
        assert hashes.erase(session, 2) == 2
    # The index still holds them in memory: they are not found any more.
    with reading(house) as session:
        (match,) = matching.find(session, index, 9, scenes(1, 2), SETTINGS)
        assert match.video_id == 1

    with transaction(house) as session:
        session.execute(delete(KnownMatch))
        session.add(Video(id=50, sha256="e" * 64, size_bytes=1, media_kind="video", object_key="k"))
        session.flush()
        hashes.keep(session, 50, scenes(5))
        matching.store(session, 1, matching.find(session, index, 1, scenes(5), SETTINGS))
    with transaction(house) as session:
        session.execute(delete(Video).where(Video.id == 50))
        assert session.scalar(select(func.count()).select_from(KnownMatch)) == 0
        owners = session.scalars(select(FrameHashRow.video_id).distinct()).all()
        assert owners == [1]


def test_first_hashes_take_one_statement_and_only_where_there_are_none(
    house: Engine, index: HashIndex
) -> None:
    screened(house, index, 1, scenes(1))
    with transaction(house) as session:
        session.add(Video(id=50, sha256="e" * 64, size_bytes=1, media_kind="video", object_key="k"))
    with single(house) as session:
        assert hashes.keep_first(session, 1, scenes(2, 3)) == []  # it has one
        assert hashes.keep_first(session, 50, []) == []
        own = hashes.keep_first(session, 50, scenes(2, 3))
    with reading(house) as session:
        found = session.execute(select(FrameHashRow.id, FrameHashRow.pdq).order_by(FrameHashRow.id)).all()
        assert hashes.of_videos(session, [1, 50]) == {1: list(scenes(1)), 50: list(scenes(2, 3))}
    assert [(row.id, row.pdq) for row in found[1:]] == [
        (number, each.pdq) for number, each in zip(own, scenes(2, 3), strict=True)
    ]


def test_many_hashes_are_read_page_by_page(
    house: Engine, index: HashIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "READ_ROWS", 2)
    screened(house, HashIndex(), 1, scenes(1, 2, 3, 4, 5))
    with single(house, reads=True) as session:
        index.follow(session)
        index.follow(session)
    assert len(index) == 5


def test_what_is_gone_by_the_time_of_storing_is_left_out(house: Engine, index: HashIndex) -> None:
    screened(house, index, 1, scenes(1, 2))
    with transaction(house) as session:
        session.add(Video(id=50, sha256="e" * 64, size_bytes=1, media_kind="video", object_key="k"))
        session.flush()
        hashes.keep(session, 50, scenes(1, 2))
        matches = matching.find(session, index, 1, scenes(1, 2), SETTINGS)
        assert [each.video_id for each in matches] == [50]
        session.execute(delete(Video).where(Video.id == 50))
        matching.store(session, 1, matches)
    assert alike(house, 1) == []


def test_a_list_is_matched_with_what_was_screened_before_and_after_and_goes_with_all(
    house: Engine, index: HashIndex
) -> None:
    screened(house, index, 1, scenes(1, 2, 3))
    mirrored = Entry(pdq=scene(3).mirrored, label=None)
    file = ListFile(entries=[Entry(pdq=scene(2, changed=5).pdq, label="case 7"), mirrored], other_types=1)
    added = lists.add(house, "shared", file, settings=SETTINGS, actor="ada")
    assert (added.added, added.already, added.other_types, added.videos) == (2, 0, 1, 1)
    again = lists.add(house, "shared", file, settings=SETTINGS, actor="ada")
    assert (again.added, again.already, again.videos) == (0, 2, 0)
    screened(house, index, 2, scenes(2, 50, 51))

    found = {(each.name, each.list_name, each.distance, each.mirrored) for each in alike(house, 1)}
    assert found == {("case 7", "shared", 5, False), ("", "shared", 0, True)}
    (later,) = alike(house, 2)
    assert (later.name, later.distance, later.other_share) == ("case 7", 5, 1.0)
    assert later.share == pytest.approx(1 / 3)
    with reading(house) as session:
        assert listing.count(session, Filters(known=True)).value == 2
        assert [(each.name, each.hashes) for each in lists.listed(session)] == [("shared", 2)]
    assert list(lists.every_entry(house, "shared")) == file.entries

    with transaction(house) as session:
        lists.remove(session, "shared", actor="ada")
    assert alike(house, 1) == alike(house, 2) == []
    with transaction(house) as session, pytest.raises(NotFound):
        lists.remove(session, "shared", actor="ada")
    with pytest.raises(InvalidValue):
        lists.add(house, "a/b", file, settings=SETTINGS, actor="ada")
