"""Evidence: the frames that a reviewer gets to see and the explainers explain.

Which frames those are is known only at the end. Until then only the best candidates of each track keep their
pixels, so that memory does not grow with the number of faces.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2

from models.face import Face, Image
from worker.aggregation import track_logit
from worker.quality import Quality

JPEG_QUALITY = 90
MOST_KEPT = 24  # frames of one video that wait for its verdict; a JPEG of 1080p has about 0.5 MB


@dataclass(kw_only=True)
class Candidate:
    """A face between detection and verdict."""

    frame: int  # number of the sample
    time: float  # seconds
    stream: int  # of the frame
    frame_size: tuple[int, int]  # width and height of the frame, pixels
    face: Face
    quality: Quality
    crop: Image | None  # None once it can no longer become evidence
    track: int = -1  # until it has been tracked
    logit: float | None = None  # None until it has been classified; for good, where the gate rejected it


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """A flagged frame."""

    face: int  # index into the faces
    score: float  # calibrated frame score, [0, 1]
    image: bytes  # JPEG of the whole frame
    crop: bytes  # PNG of exactly what was classified


def worth_keeping(
    candidates: Iterable[Candidate], *, per_track: int, top_fraction: float, min_frames: int
) -> list[Candidate]:
    """The candidates that may still become evidence, judging by the scores known so far.

    Args:
        per_track: candidates kept of each track.
        top_fraction: of a track's frames, as `track_logit` takes it.
        min_frames: classified frames from which a track counts; the others come last.
    """
    logits: dict[int, list[float]] = defaultdict(list)
    holders: dict[int, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        if candidate.logit is not None:
            logits[candidate.track].append(candidate.logit)
            if candidate.crop is not None:
                holders[candidate.track].append(candidate)
    tracks = sorted(
        holders,
        key=lambda track: (len(logits[track]) >= min_frames, track_logit(logits[track], top_fraction)),
        reverse=True,
    )
    return in_turn([holders[track] for track in tracks], per_track=per_track)[:MOST_KEPT]


def in_turn(tracks: Sequence[Sequence[Candidate]], *, per_track: int) -> list[Candidate]:
    """The best candidate of each track in the tracks' order, then the second best of each, and so on."""
    ranked = [sorted(track, key=lambda one: one.logit or 0.0, reverse=True)[:per_track] for track in tracks]
    return [track[rank] for rank in range(per_track) for track in ranked if rank < len(track)]


def jpeg(image: Image) -> bytes:
    """A whole frame, for people to look at."""
    return _encoded(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])


def png(image: Image) -> bytes:
    """A crop without loss: what is explained must be what was classified."""
    return _encoded(".png", image, [])


def _encoded(suffix: str, image: Image, options: list[int]) -> bytes:
    # cvtColor takes a tenth of the time of a view with negative strides.
    done, coded = cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise ValueError(f"a picture of shape {image.shape} cannot be coded as {suffix}")
    return coded.tobytes()
