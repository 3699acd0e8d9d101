"""Evidence: the frames that a reviewer gets to see and the explainers explain.

Which frames those are is known only at the end. Until then only each track's best candidates keep their
pixels, so that memory does not grow with the number of faces.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import cv2

from models.face import Face, Image
from worker.screening.aggregation import stretch_logits
from worker.screening.quality import Quality

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
    logit: float | None = None  # None until it has been classified; stays None if the gate rejected it
    families: tuple[float, ...] = ()  # logits of the version's families, once it has been classified


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """A flagged frame."""

    face: int  # index into the faces
    score: float  # calibrated frame score, [0, 1]
    image: bytes  # JPEG of the whole frame
    crop: bytes  # PNG of exactly what was classified


def worth_keeping(
    candidates: Iterable[Candidate],
    *,
    per_track: int,
    top_fraction: float,
    min_frames: int,
    stretch_frames: int = 16,
) -> list[Candidate]:
    """The candidates that may still become evidence, judging by the scores known so far.

    A high frame among low ones is not evidence: those of a track's worst stretch come first.

    Args:
        candidates: by time.
        per_track: candidates kept of each track.
        top_fraction, stretch_frames: as `stretch_logits` takes them.
        min_frames: classified frames from which a track counts; the others come last.
    """
    logits: dict[int, list[float]] = defaultdict(list)
    holders: dict[int, list[tuple[int, Candidate]]] = defaultdict(list)
    for candidate in candidates:
        if candidate.logit is not None:
            if candidate.crop is not None:
                holders[candidate.track].append((len(logits[candidate.track]), candidate))
            logits[candidate.track].append(candidate.logit)
    worst: dict[int, float] = {}  # logit of each track
    around: dict[int, float] = {}  # logit of the worst stretch around each candidate
    for track, held in holders.items():
        stretches = stretch_logits(logits[track], frames=stretch_frames, top_fraction=top_fraction)
        worst[track] = max(stretches)
        for place, candidate in held:
            first = max(0, place - stretch_frames + 1)
            around[id(candidate)] = max(stretches[first : place + 1])
    tracks = sorted(holders, key=lambda track: (len(logits[track]) >= min_frames, worst[track]), reverse=True)
    return in_turn(
        [[candidate for _, candidate in holders[track]] for track in tracks],
        per_track=per_track,
        before_logit=lambda one: around[id(one)],
    )[:MOST_KEPT]


def in_turn(
    tracks: Sequence[Sequence[Candidate]],
    *,
    per_track: int,
    before_logit: Callable[[Candidate], float] | None = None,
) -> list[Candidate]:
    """The best candidate of each track in the tracks' order, then the second best of each, and so on.

    The best have the highest `before_logit`, then the highest logit.
    """

    def standing(one: Candidate) -> tuple[float, float]:
        return (0.0 if before_logit is None else before_logit(one), one.logit or 0.0)

    ranked = [sorted(track, key=standing, reverse=True)[:per_track] for track in tracks]
    return [track[rank] for rank in range(per_track) for track in ranked if rank < len(track)]


def jpeg(image: Image) -> bytes:
    """A whole frame, for people to look at."""
    return _encoded(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])


def png(image: Image) -> bytes:
    """A lossless crop: what is explained must be what was classified."""
    return _encoded(".png", image, [])


def _encoded(suffix: str, image: Image, options: list[int]) -> bytes:
    # cvtColor takes a tenth of the time of a view with negative strides.
    done, coded = cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise ValueError(f"a picture of shape {image.shape} cannot be encoded as {suffix}")
    return coded.tobytes()
