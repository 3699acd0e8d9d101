"""The hashes of videos' frames. Storing them waits for no disk: they can be computed again."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from core.known import FrameHash
from storage import rows, values
from storage.tables import FrameHashRow


def keep_first(session: Session, video_id: int, hashes: Sequence[FrameHash]) -> list[int]:
    """Store the hashes of a video that has none, in one statement; their numbers. If it has some, none is."""
    rows_of = [{"video_id": video_id, **vars(each)} for each in hashes]
    return rows.add(session, FrameHashRow, rows_of, first_of="video_id", unhurried=True)


def keep(session: Session, video_id: int, hashes: Sequence[FrameHash]) -> list[int]:
    """Make these the hashes of the video, and return their numbers. None is written where all are there."""
    there = session.scalars(
        select(FrameHashRow).where(FrameHashRow.video_id == video_id).order_by(FrameHashRow.id)
    ).all()
    if [values.of_row(FrameHash, row) for row in there] == list(hashes):
        return [row.id for row in there]
    if there:
        erase(session, video_id)
    return keep_first(session, video_id, hashes)


def erase(session: Session, video_id: int) -> int:
    """Delete the hashes of a video, as deleting the video itself does; returns how many there were."""
    done = session.execute(delete(FrameHashRow).where(FrameHashRow.video_id == video_id))
    return int(done.rowcount)  # type: ignore[attr-defined]  # of a DELETE


def of_videos(session: Session, video_ids: Iterable[int]) -> dict[int, list[FrameHash]]:
    """The hashes of each video, in the order in which they were kept."""
    found: dict[int, list[FrameHash]] = defaultdict(list)
    query = select(FrameHashRow).where(FrameHashRow.video_id.in_(list(video_ids))).order_by(FrameHashRow.id)
    for row in session.scalars(query):
        if row.video_id is not None:
            found[row.video_id].append(values.of_row(FrameHash, row))
    return found
