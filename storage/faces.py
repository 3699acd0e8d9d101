"""The faces of a screening, stored: their tracks, the faces of each, and the scores of those."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Float, Integer, Select, func, insert, select
from sqlalchemy.orm import Session

from core.results import FaceResult, TrackResult
from storage import rows
from storage.rows import PLACE, table_of
from storage.tables import FaceRow, FaceTrack, FrameScore

NOT_OF_THE_ROW = ("id", "box", "logit", "score", "track_number")  # of a FaceResult


def add(
    session: Session, screening_id: int, tracks: Sequence[TrackResult], faces: Sequence[FaceResult]
) -> list[int]:
    """Store them for a screening that has none; returns the numbers of the faces, in their order.

    On PostgreSQL it takes one statement.
    """
    if not faces:
        return []
    track_rows = [{"screening_id": screening_id, **vars(track)} for track in tracks]
    face_rows = [{"screening_id": screening_id, **_columns(face)} for face in faces]
    if session.get_bind().dialect.name != "postgresql":
        return _one_table_after_the_other(session, track_rows, face_rows, faces)
    for values, face in zip(face_rows, faces, strict=True):
        values |= {"track_number": face.track_number, "logit": face.logit}
    statement = _at_once(tuple(track_rows[0]), tuple(face_rows[0]))
    given = {"tracks": _placed(track_rows), "faces": _placed(face_rows)}
    return list(session.scalars(statement, given))


def _columns(face: FaceResult) -> dict[str, Any]:
    x0, y0, x1, y1 = face.box
    others = {name: value for name, value in vars(face).items() if name not in NOT_OF_THE_ROW}
    return {"x0": x0, "y0": y0, "x1": x1, "y1": y1, **others}


def _placed(given: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{**values, PLACE: place} for place, values in enumerate(given)]


def _one_table_after_the_other(
    session: Session,
    track_rows: Sequence[Mapping[str, Any]],
    face_rows: Sequence[Mapping[str, Any]],
    faces: Sequence[FaceResult],
) -> list[int]:
    track_ids = rows.add(session, FaceTrack, track_rows)
    numbered = {values["number"]: id_ for values, id_ in zip(track_rows, track_ids, strict=True)}
    belonging = [
        {**values, "track_id": numbered[face.track_number]}
        for values, face in zip(face_rows, faces, strict=True)
    ]
    face_ids = rows.add(session, FaceRow, belonging)
    scores = [
        {"face_id": id_, "logit": face.logit}
        for id_, face in zip(face_ids, faces, strict=True)
        if face.logit is not None
    ]
    rows.add(session, FrameScore, scores)
    return face_ids


@cache
def _at_once(track_names: tuple[str, ...], face_names: tuple[str, ...]) -> Select[tuple[int]]:
    """Rows are numbered in the order in which they are inserted, so a face is known by its place."""
    track, face, score = table_of(FaceTrack), table_of(FaceRow), table_of(FrameScore)
    of_face = [name for name in face_names if name in face.c]
    types = {name: face.c[name].type for name in of_face} | {"track_number": Integer(), "logit": Float()}
    of_track = rows.recordset("tracks", {name: track.c[name].type for name in track_names})
    given = select(rows.recordset("faces", types)).cte("given")

    chosen = select(*(of_track.c[name] for name in track_names)).order_by(of_track.c[PLACE])
    tracks = (
        insert(track)
        .from_select(track_names, chosen, include_defaults=False)
        .returning(track.c.id, track.c.number)
        .cte("stored_tracks")
    )
    belonging = (
        select(tracks.c.id, *(given.c[name] for name in of_face))
        .join(tracks, tracks.c.number == given.c.track_number)
        .order_by(given.c[PLACE])
    )
    faces = (
        insert(face)
        .from_select(["track_id", *of_face], belonging, include_defaults=False)
        .returning(face.c.id)
        .cte("stored_faces")
    )
    place = (func.row_number().over(order_by=faces.c.id) - 1).label(PLACE)
    numbered = select(faces.c.id, place).cte("numbered")
    scored = (
        select(numbered.c.id, given.c.logit)
        .join(given, given.c[PLACE] == numbered.c[PLACE])
        .where(given.c.logit.is_not(None))
    )
    scores = insert(score).from_select(["face_id", "logit"], scored, include_defaults=False)
    return select(numbered.c.id).order_by(numbered.c.id).add_cte(scores.cte("stored_scores"))
