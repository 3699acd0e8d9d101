"""The evidence report of one video, for reviewers to pass on.

It contains everything that led to the verdict: hashes of the file and of the weights, parameters, seeds,
every frame score, the flagged faces with their explanations, and the decisions. `content_sha256` covers all
of it, so that the HTML, the JSON and what the installation stores can be compared.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from sqlalchemy.orm import Session

from core.provenance import told
from core.results import FaceResult
from storage import run_length
from storage.read import explanation
from storage.read.detail import TrackDetail, VideoDetail
from storage.read.explanation import StoredExplanation
from storage.read.flagged_frames import FlaggedFrameDetail

FORMAT = "facewarden-evidence/1"  # raise the number when a field changes its meaning
NOT_OF_A_FACE = {"track_number", "landmarks"}  # listed under its track


def report(session: Session, detail: VideoDetail, *, made_by: str, made_at: datetime) -> dict[str, Any]:
    """The report as JSON values: times in UTC, seconds, pixels, scores in [0, 1].

    Pictures are represented by the SHA-256 of their content.
    """
    content = {
        "file": _file(detail),
        "model": _plain(asdict(detail.model)),
        "screening": _screening(detail),
        "tracks": [_track(track) for track in detail.tracks],
        "flagged_frames": [_flagged(session, frame) for frame in detail.flagged_frames],
        # Why flagged frames may be missing. Why it is held is not for those to whom a report is passed on.
        "erased": {
            "original_at": _plain(detail.kept.original_erased_at),
            "faces_at": _plain(detail.kept.faces_erased_at),
        },
        "decisions": [_plain(asdict(each)) for each in detail.decisions],
    }
    return {
        "format": FORMAT,
        "made_at": made_at.astimezone(UTC).isoformat(timespec="seconds"),
        "made_by": made_by,
        "facewarden": version("facewarden"),
        "content_sha256": content_hash(content),
        **content,
    }


def content_hash(content: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON of a report's content: sorted keys, no whitespace, UTF-8."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


def _file(detail: VideoDetail) -> dict[str, Any]:
    return {
        "sha256": detail.item.sha256,
        "size_bytes": detail.item.size_bytes,
        "media_kind": detail.item.media_kind,
        "first_seen_at": _plain(detail.item.added_at),
        "sightings": [_plain(asdict(each)) for each in detail.sightings],
        "probe": detail.probe,
        "provenance": told(detail.provenance),
    }


def _screening(detail: VideoDetail) -> dict[str, Any]:
    item = detail.item
    return {
        "id": item.screening_id,
        "attempt": detail.attempt,
        "status": item.status,
        "verdict": item.verdict,
        "score": item.score,
        "raw_score": detail.raw_score,
        # By which the verdict was reached; the checkpoint's own thresholds may be others.
        "policy": None if detail.policy is None else _plain(asdict(detail.policy)),
        "looks": detail.looks,
        "coverage": item.coverage,
        "partial": item.partial,
        "unseen": detail.unseen,
        "rejected_faces": item.rejected_faces,
        "longest_unseen_seconds": item.longest_unseen_seconds,
        "turn": item.turn,
        "error_code": item.error_code,
        "error_message": item.error_message,
        "queued_at": _plain(detail.queued_at),
        "started_at": _plain(detail.started_at),
        "finished_at": _plain(item.finished_at),
        "timings_seconds": detail.timings,
    }


def _track(track: TrackDetail) -> dict[str, Any]:
    return {
        "number": track.number,
        "stream": track.stream,
        "start_seconds": track.start_seconds,
        "end_seconds": track.end_seconds,
        "frames": track.frames,
        "usable_frames": track.usable_frames,
        "score": track.score,
        "supported": track.supported,
        "flagged_ranges": _plain(track.flagged_ranges),
        "family": track.family,
        "family_probability": track.family_probability,
        "evidence": None if track.evidence is None else _plain(asdict(track.evidence)),
        "faces": [_face(face) for face in track.faces],
    }


def _face(face: FaceResult) -> dict[str, Any]:
    values = {name: _plain(value) for name, value in vars(face).items() if name not in NOT_OF_A_FACE}
    return {**values, "usable": face.usable}


def _flagged(session: Session, frame: FlaggedFrameDetail) -> dict[str, Any]:
    return {
        "rank": frame.rank,
        "track": frame.track,
        "time_seconds": frame.time_seconds,
        "box": list(frame.box),
        "frame_width": frame.frame_width,
        "frame_height": frame.frame_height,
        "score": frame.score,
        "image_sha256": digest(frame.image_key),
        "crop_sha256": digest(frame.crop_key),
        "explain_status": frame.explain_status,
        "explain_error": frame.explain_error,
        "explanations": [_explanation(explanation.full(session, each.id)) for each in frame.explanations],
    }


def _explanation(stored: StoredExplanation) -> dict[str, Any]:
    return {
        "method": stored.method,
        "parameters": stored.parameters,
        "seed": stored.seed,
        "r2": stored.r2,
        "stability": stored.stability,
        "intercept": stored.intercept,
        "local_prediction": stored.local_prediction,
        "weights": stored.weights,
        "evidence": None if stored.evidence is None else _plain(asdict(stored.evidence)),
        "segments": None if stored.segments is None else run_length.runs(stored.segments),
        "overlays_sha256": {name: digest(key) for name, key in sorted(stored.overlays.items())},
        "created_at": _plain(stored.created_at),
    }


def digest(key: str) -> str:
    """The SHA-256 in an object's key."""
    return key.replace("/", "").partition(".")[0]


def _plain(value: Any) -> Any:
    """`value` as JSON represents it: times as text, tuples as lists."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
