"""What looks like a video: compared as vPDQ does it, by the share of frames that have their like.

Each side is a set of hashes. The shares of both are looked at, so that a part of a video is recognised as
well as a video that holds more. The larger one must reach the setting.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine, delete, insert, select
from sqlalchemy.orm import Session

from core.known import FrameHash, Match
from core.settings import KnownSettings
from storage.engine import reading, transaction
from storage.known import hashes as stored
from storage.known.index import READ_ROWS, HashIndex
from storage.tables import FrameHashRow, KnownMatch, Video

MOST_VIDEOS = 200  # that are compared in full, those with the most hits first
MOST_MATCHES = 50  # kept of one video, of either kind, the closest first
ROWS_AT_A_TIME = 500  # numbers in one statement: SQLite takes so many, and more


def find(
    session: Session,
    index: HashIndex,
    video_id: int,
    hashes: Sequence[FrameHash],
    settings: KnownSettings,
    *,
    own: Sequence[int] = (),
) -> list[Match]:
    """What these hashes of a video look like, the closest first. The index is brought up to date.

    `own`: their numbers, where they are stored; without these they are looked up, to be left out.
    """
    if not hashes:
        return []
    index.follow(session)
    plain = [each.pdq for each in hashes]
    hits = index.search(plain + [each.mirrored for each in hashes], settings.distance)
    near = np.setdiff1d(hits.ids, np.array(own, np.int64))
    if not len(near):
        return []
    rows = _rows(session, near.tolist())
    seen = Counter(rows[id_][0] for id_ in hits.ids.tolist() if id_ in rows)
    videos = [one for one, _ in seen.most_common() if one not in (None, video_id)][:MOST_VIDEOS]
    others = stored.of_videos(session, [one for one in videos if one is not None])
    found = [
        match
        for other, theirs in others.items()
        if (match := compare(hashes, theirs, other, settings)) is not None
    ]
    listed = [(id_, pdq) for id_, (owner, pdq) in rows.items() if owner is None]
    entries = [_entry(hashes, id_, pdq, settings) for id_, pdq in listed]
    return [*_closest(found), *_closest(entries)]


def match_entries(engine: Engine, entries: Sequence[tuple[int, bytes]], settings: KnownSettings) -> int:
    """Find and store which stored videos look like these entries of a list, by number and hash.

    Returns how many do. It reads the hashes of all videos.
    """
    plain, mirrored, owners = HashIndex(), HashIndex(), dict[int, int]()
    query = select(FrameHashRow.id, FrameHashRow.video_id, FrameHashRow.pdq, FrameHashRow.mirrored)
    with reading(engine) as session:
        stored_rows = session.execute(
            query.where(FrameHashRow.video_id.is_not(None)).execution_options(yield_per=READ_ROWS)
        )
        for part in stored_rows.partitions(READ_ROWS):
            ids = np.array([row.id for row in part], np.int64)
            plain.add(ids, np.frombuffer(b"".join(row.pdq for row in part), np.uint8))
            mirrored.add(ids, np.frombuffer(b"".join(row.mirrored for row in part), np.uint8))
            owners |= {row.id: row.video_id for row in part}
    near: dict[int, dict[int, bytes]] = defaultdict(dict)  # of each video, the entries it looks like
    for id_, pdq in entries:
        for index in (plain, mirrored):
            for owner in index.search([pdq], settings.distance).ids.tolist():
                near[owners[owner]][id_] = pdq
    for video_id, found in near.items():
        with transaction(engine) as session:
            _store_entries(session, video_id, found, settings)
    return len(near)


def _store_entries(
    session: Session, video_id: int, found: Mapping[int, bytes], settings: KnownSettings
) -> None:
    hashes = stored.of_videos(session, [video_id]).get(video_id, [])
    known = set(session.scalars(select(KnownMatch.list_hash_id).where(KnownMatch.video_id == video_id)))
    matches = [_entry(hashes, id_, pdq, settings) for id_, pdq in found.items() if id_ not in known]
    if hashes:
        _insert(session, video_id, _closest(matches))


def store(session: Session, video_id: int, matches: Sequence[Match]) -> None:
    """Make these the matches that were found for the video."""
    session.execute(delete(KnownMatch).where(KnownMatch.video_id == video_id))
    _insert(session, video_id, matches)


def _insert(session: Session, video_id: int, matches: Sequence[Match]) -> None:
    if not matches:
        return
    # What was removed since it was found is left out.
    videos = set(session.scalars(select(Video.id).where(Video.id.in_([each.video_id for each in matches]))))
    entries = set(
        session.scalars(
            select(FrameHashRow.id).where(FrameHashRow.id.in_([each.list_hash_id for each in matches]))
        )
    )
    rows = [
        {**vars(each), "video_id": video_id, "other_video_id": each.video_id}
        for each in matches
        if each.video_id in videos or each.list_hash_id in entries
    ]
    if rows:
        session.execute(insert(KnownMatch), rows)


def _closest(matches: list[Match]) -> list[Match]:
    ordered = sorted(matches, key=lambda one: (-max(one.share, one.other_share), one.distance))
    return ordered[:MOST_MATCHES]


def _rows(session: Session, ids: list[int]) -> dict[int, tuple[int | None, bytes]]:
    """Whose video's each hash is (None: a list's), and the hash; those that are gone are left out."""
    found: dict[int, tuple[int | None, bytes]] = {}
    for start in range(0, len(ids), ROWS_AT_A_TIME):
        some = ids[start : start + ROWS_AT_A_TIME]
        query = select(FrameHashRow.id, FrameHashRow.video_id, FrameHashRow.pdq)
        for row in session.execute(query.where(FrameHashRow.id.in_(some))):
            found[row.id] = (row.video_id, row.pdq)
    return found


def compare(
    ours: Sequence[FrameHash], theirs: Sequence[FrameHash], video_id: int, settings: KnownSettings
) -> Match | None:
    """The match between two videos, the right way round or mirrored; None if there is none."""
    there = [each.pdq for each in theirs]
    ways = [
        _shares([each.mirrored if mirrored else each.pdq for each in ours], there, settings.distance)
        for mirrored in (False, True)
    ]
    mirrored = max(ways[1][1:]) > max(ways[0][1:])
    distance, share, other_share = ways[mirrored]
    if max(share, other_share) < settings.share:
        return None
    return Match(
        video_id=video_id,
        list_hash_id=None,
        distance=distance,
        share=share,
        other_share=other_share,
        mirrored=mirrored,
    )


def _entry(ours: Sequence[FrameHash], id_: int, pdq: bytes, settings: KnownSettings) -> Match:
    """The match with an entry of a list: one frame that looks like it is enough."""
    ways = [
        _shares([each.mirrored if mirrored else each.pdq for each in ours], [pdq], settings.distance)
        for mirrored in (False, True)
    ]
    mirrored = ways[1][0] < ways[0][0]
    distance, share, other_share = ways[mirrored]
    return Match(
        video_id=None,
        list_hash_id=id_,
        distance=distance,
        share=share,
        other_share=other_share,
        mirrored=mirrored,
    )


def _shares(ours: Sequence[bytes], theirs: Sequence[bytes], within: int) -> tuple[int, float, float]:
    """The least distance, and how many of either side have one within so many bits on the other."""
    bits = np.bitwise_count(_words(ours)[:, None] ^ _words(theirs)[None]).sum(axis=2, dtype=np.int64)
    near = bits <= within
    return int(bits.min()), float(near.any(axis=1).mean()), float(near.any(axis=0).mean())


def _words(hashes: Sequence[bytes]) -> NDArray[np.uint64]:
    return np.frombuffer(b"".join(hashes), np.uint64).reshape(len(hashes), -1)
