"""Stores what the pipeline found: pictures in the object store, the rest in rows."""

from dataclasses import asdict

from core.results import FlaggedFrameResult, ScreeningResult
from storage.objects.store import ObjectStore
from worker.screening.evidence import Evidence
from worker.screening.screened import Screened


def to_result(screened: Screened, objects: ObjectStore) -> ScreeningResult:
    """Store the evidence's pictures (by content: a second run stores nothing new) and build the rows."""
    return ScreeningResult(
        verdict=screened.video.verdict,
        score=screened.video.score,
        raw_score=screened.video.raw,
        coverage=screened.report.coverage,
        unseen=screened.report.unseen,
        rejected_faces=screened.rejected_faces,
        longest_unseen_seconds=screened.report.longest_unseen_seconds,
        looks=screened.video.looks,
        policy=screened.policy.stored(),
        mostly_damaged=screened.report.mostly_damaged,
        turn=screened.turn,
        probe=asdict(screened.probe),
        provenance=screened.provenance.stored(),
        provenance_stated=screened.provenance.stated,
        timings=screened.timings,
        tracks=screened.tracks,
        faces=screened.faces,
        flagged_frames=[_flagged(screened, evidence, objects) for evidence in screened.evidence],
        hashes=screened.hashes,
        poster_key=None if screened.poster is None else objects.put_bytes(screened.poster, ".jpg"),
    )


def _flagged(screened: Screened, evidence: Evidence, objects: ObjectStore) -> FlaggedFrameResult:
    face = screened.faces[evidence.face]
    return FlaggedFrameResult(
        face_number=evidence.face,
        track_number=face.track_number,
        time_seconds=face.time_seconds,
        score=evidence.score,
        image_key=objects.put_bytes(evidence.image, ".jpg"),
        crop_key=objects.put_bytes(evidence.crop, ".png"),
    )
