"""The hashes of videos' frames."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from core.known import FrameHash
from storage import values
from storage.tables import FrameHashRow


def keep(session: Session, video_id: int, hashes: Sequence[FrameHash]) -> None:
    """Make these the hashes of the video. Where they already are, nothing is written."""
    if of_videos(session, [video_id]).get(video_id, []) == list(hashes):
        return
    erase(session, video_id)
    if hashes:
        session.execute(insert(FrameHashRow), [{"video_id": video_id, **vars(each)} for each in hashes])


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
