"""From what the pipeline found to what is stored: pictures to the object store, the rest to rows."""

from dataclasses import asdict

from storage.objects import FolderStore
from storage.results import FaceResult, FlaggedFrameResult, ScreeningResult, TrackResult
from worker.screening.evidence import Evidence
from worker.screening.pipeline import Screened, ScreenedFace, ScreenedTrack


def to_result(screened: Screened, objects: FolderStore) -> ScreeningResult:
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
        turn=screened.turn,
        probe=asdict(screened.probe),
        timings=screened.timings,
        tracks=[_track(track) for track in screened.tracks],
        faces=[_face(face) for face in screened.faces],
        flagged_frames=[_flagged(screened, evidence, objects) for evidence in screened.evidence],
    )


def _track(track: ScreenedTrack) -> TrackResult:
    return TrackResult(
        number=track.number,
        stream=track.stream,
        start_seconds=track.start_seconds,
        end_seconds=track.end_seconds,
        frames=track.frames,
        usable_frames=track.usable_frames,
        score=track.score.score,
        raw_score=track.score.raw,
        supported=track.score.supported,
        flagged_ranges=[(part.start_seconds, part.end_seconds) for part in track.flagged],
    )


def _face(face: ScreenedFace) -> FaceResult:
    box = face.face.box
    return FaceResult(
        track_number=face.track,
        frame_index=face.frame,
        time_seconds=face.time_seconds,
        box=(box.x0, box.y0, box.x1, box.y1),
        frame_size=face.frame_size,
        landmarks=[[float(x), float(y)] for x, y in face.face.landmarks],
        probability=face.face.probability,
        sharpness=face.quality.sharpness,
        yaw=face.quality.yaw,
        roll=face.quality.roll,
        turn=face.face.turn,
        rejected_because=face.quality.rejection,
        logit=face.logit,
    )


def _flagged(screened: Screened, evidence: Evidence, objects: FolderStore) -> FlaggedFrameResult:
    face = screened.faces[evidence.face]
    return FlaggedFrameResult(
        face_number=evidence.face,
        track_number=face.track,
        time_seconds=face.time_seconds,
        score=evidence.score,
        image_key=objects.put_bytes(evidence.image, ".jpg"),
        crop_key=objects.put_bytes(evidence.crop, ".png"),
    )
