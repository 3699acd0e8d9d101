"""What is found in a video: values that the pipeline makes, SQL stores, and people and programs read.

ScreeningResult
|-- TrackResult              one person over time
|-- FaceResult               that person in one sampled frame
`-- FlaggedFrameResult       what a reviewer gets to see
    `-- ExplanationResult    and why it was found fake
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core import face_evidence
from core.face_evidence import FaceEvidence
from core.known import FrameHash
from core.outcomes import ExplanationMethod, Verdict
from core.provenance import Stated


@dataclass(frozen=True, kw_only=True)
class FaceResult:
    """A face in one sampled frame."""

    id: int | None = None  # of its row; None until stored
    track_number: int
    frame_index: int  # number of the sample
    time_seconds: float
    box: tuple[float, float, float, float]  # x0, y0, x1, y1 in pixels of the upright full frame
    frame_width: int | None  # pixels of that frame; None in rows of older releases
    frame_height: int | None
    landmarks: Sequence[Sequence[float]]  # five (x, y): eyes, nose, corners of the mouth; pixels of the frame
    probability: float  # that it is a face, as the detector says, [0, 1]
    sharpness: float  # variance of the Laplacian, gray values 0..255, at 112 px
    yaw: float  # 0 front, 1 profile
    roll: float | None  # degrees clockwise, once the frame is turned; None in rows of older releases
    turn: int  # degrees clockwise by which the frame is turned so that the face is upright
    rejected_because: str | None  # by the quality gate; None: usable
    logit: float | None  # None: not classified
    score: float | None = None  # calibrated, [0, 1]: what the model version's calibration makes of the logit

    @property
    def usable(self) -> bool:
        """Whether it passed the quality gate and counts for the score."""
        return self.rejected_because is None


@dataclass(frozen=True, kw_only=True)
class TrackResult:
    """One person over time."""

    number: int  # from 0
    stream: int  # of the file's streams of pictures, from 0; 0 is what players show
    start_seconds: float
    end_seconds: float
    frames: int  # sampled frames in which the face was seen
    usable_frames: int  # of them, those that passed the quality gate
    score: float | None  # calibrated, [0, 1]; None without usable frames
    raw_score: float | None  # logit
    supported: bool  # enough usable frames to count for the verdict
    flagged_ranges: Sequence[Sequence[float]] = ()  # from and to, in seconds, by time
    # What it resembles most, of core.families.Family: a guess. None: not flagged, not sure, or not asked.
    family: str | None = None
    family_probability: float | None = None  # [0, 1], calibrated, if it is a fake of a known family


@dataclass(frozen=True, kw_only=True)
class FlaggedFrameResult:
    face_number: int  # index into the faces of the result
    track_number: int
    time_seconds: float
    score: float  # calibrated frame score, [0, 1]
    image_key: str  # JPEG of the whole frame in the object store
    crop_key: str  # PNG of exactly what was classified


@dataclass(frozen=True, kw_only=True)
class ExplanationResult:
    """Why one method finds a flagged face fake."""

    method: ExplanationMethod
    parameters: Mapping[str, Any]  # all that is needed to reproduce it
    seed: int | None
    segments: bytes | None  # storage.run_length; None: the method has none
    weights: Sequence[float]  # per segment, towards fake
    intercept: float | None
    local_prediction: float | None  # of the local model, for the crop itself
    r2: float | None  # of the local model, at most 1
    stability: float | None  # [0, 1]: how much other seeds agree
    overlays: Mapping[str, str]  # name -> key of a PNG in the object store

    @property
    def evidence(self) -> FaceEvidence | None:
        """Which parts of the face speak for fake; None for methods that do not weigh parts."""
        if self.method != ExplanationMethod.LIME:
            return None
        return face_evidence.of_frame(self.parts, self.weights, self.r2, self.stability)

    @property
    def parts(self) -> Sequence[str]:
        """The part of the face that each segment is; empty where segments are none."""
        parts: Sequence[str] = self.parameters.get("parts", ())
        return parts


@dataclass(frozen=True, kw_only=True)
class ShadowResult:
    """What another model version makes of the same faces; it changes nothing."""

    model_version: str
    policy: str  # core.policy.Policy, as it is stored
    verdict: Verdict
    score: float | None  # calibrated, [0, 1]
    raw_score: float | None  # the logit behind it
    looks: float  # at faces and stretches, of which the worst decided
    logits: Sequence[float]  # of the usable faces, in the order of the result's
    seconds: float  # that it took


@dataclass(frozen=True, kw_only=True)
class ScreeningResult:
    verdict: Verdict
    score: float | None  # calibrated probability of a fake, [0, 1]
    raw_score: float | None  # the logit behind it
    coverage: float  # decoded samples / expected samples, [0, 1]
    unseen: Sequence[str]  # what was not looked at, in words
    rejected_faces: Mapping[str, int]  # kept from the classifier by the quality gate, by reason
    longest_unseen_seconds: float = 0.0  # of the video, without an undamaged sample
    looks: float = 1.0  # at faces and stretches, of which the worst decided
    policy: str | None = None  # core.policy.Policy, as it is stored
    mostly_damaged: bool = False  # more than half of the samples of one stream
    turn: int  # degrees clockwise by which the picture is turned so that most faces are upright
    probe: Mapping[str, Any]  # container, codec, size, duration
    provenance: Mapping[str, Any]  # as core.provenance.Provenance stores it
    provenance_stated: Stated
    timings: Mapping[str, float]  # seconds per stage, some of which run beside each other, and "total"
    tracks: Sequence[TrackResult]
    faces: Sequence[FaceResult]
    flagged_frames: Sequence[FlaggedFrameResult]  # the most suspicious first
    hashes: Sequence[FrameHash] = ()  # of frames, by time: what the video looks like
    poster_key: str | None = None  # a small JPEG of the clearest frame, in the object store
