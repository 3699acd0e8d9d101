"""What the API returns and accepts. Times are UTC, boxes pixels of the upright frame, scores in [0, 1]."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, computed_field

from core.families import Family
from core.outcomes import (
    DecisionOutcome,
    DecisionState,
    ExplainStatus,
    ExplanationMethod,
    MediaKind,
    Replaced,
    ScreeningStatus,
    Verdict,
)
from core.priorities import Priority
from core.provenance import ManifestState, Stated
from ingest.registration import Intake
from review import addresses
from review.filters import NO_NUL
from storage import run_length
from storage.run_length import Runs

Box = tuple[float, float, float, float]
Overlays = Annotated[list[str], BeforeValidator(sorted)]  # the names of a stored mapping of names to keys


def _unpacked(segments: bytes | None) -> Runs | None:
    return None if segments is None else run_length.runs(segments)


class _Given(BaseModel):
    """Made from a value of the read model."""

    model_config = ConfigDict(from_attributes=True)


class _Taken(BaseModel):
    """A request body."""

    model_config = ConfigDict(extra="forbid")


class Claim(_Given):
    account_id: int
    account: str
    expires_at: datetime


class Video(_Given):
    """One video with its screening by one model version."""

    video_id: int
    screening_id: int
    sha256: str = Field(description="SHA-256 of the content, hex.")
    name: str = Field(description="Name under which it was last seen.")
    names: int = Field(description="Number of different names.")
    media_kind: MediaKind
    size_bytes: int
    source: str = Field(description="Where it was first seen.")
    added_at: datetime = Field(description="When it was first seen.")
    finished_at: datetime | None
    status: ScreeningStatus
    verdict: Verdict | None
    score: float | None = Field(description="Calibrated probability of a fake.")
    score_hidden: bool = Field(description="You review in blind mode and have not decided yet.")
    partial: bool = Field(description="Part of it could not be decoded.")
    coverage: float | None = Field(description="Decoded samples / expected samples.")
    turn: int = Field(description="Degrees clockwise by which it was turned so that faces are upright.")
    rejected_faces: dict[str, int] = Field(
        description="Faces that could not be judged, by reason: turned, tilted, small, blurred, unsure."
    )
    longest_unseen_seconds: float | None = Field(
        description="The longest part of the video without a usable sample."
    )
    duration_seconds: float | None
    model_version: str
    model_label: str
    error_code: str | None
    error_message: str | None
    decision_state: DecisionState
    decision: DecisionOutcome | None = Field(description="The last decision by anybody.")
    my_decision: DecisionOutcome | None = Field(description="Your last decision.")
    claim: Claim | None
    flagged_frame_id: int | None = Field(description="The most suspicious frame.")
    has_poster: bool = Field(exclude=True)

    @computed_field  # type: ignore[prop-decorator]  # as pydantic documents it
    @property
    def poster(self) -> str | None:
        """Address of a small JPEG of the video, whatever the verdict; null if there is none."""
        return addresses.poster(self.video_id) if self.has_poster else None


class Count(_Given):
    value: int
    more: bool = Field(description="There are more than this; counting stopped.")


class VideoPage(BaseModel):
    items: list[Video]
    next_cursor: str | None = Field(description="Null on the last page.")
    count: Count | None = Field(description="If requested.")


class Counts(_Given):
    to_review: Count = Field(description="Flagged or unjudged, and open.")
    second_opinion: Count
    decided: Count = Field(description="Flagged or unjudged, and decided.")
    verdicts: dict[str, Count] = Field(description="Open videos.")
    statuses: dict[str, Count] = Field(description="Videos whose screening is not done.")


class FrameScore(_Given):
    """A face in one sampled frame."""

    time_seconds: float
    frame_index: int
    box: Box
    frame_width: int | None = Field(description="Width in pixels of the frame that the box refers to.")
    frame_height: int | None
    score: float | None = Field(description="Calibrated; null if the face was not classified.")
    usable: bool = Field(description="Passed the quality gate and counts towards the score.")
    rejected_because: str | None
    turn: int = Field(
        description="Degrees clockwise by which the frame was turned so that the face is upright."
    )
    roll: float | None = Field(description="Degrees clockwise by which the head is tilted after turning.")
    probability: float = Field(description="The detector's probability that it is a face.")


class Evidence(_Given):
    """Which parts of a face speak for fake, as far as its LIME maps hold."""

    shares: dict[str, float] = Field(
        description="Of each part that speaks for fake, the largest first; they add up to 1."
    )
    frames: int = Field(description="Explained frames that it is summed over.")
    left_out: int = Field(description="Explained frames whose map does not hold.")
    sentence: str = Field(description="In words, or why it is not put into words.")
    in_words: bool


class Track(_Given):
    """One person over time."""

    number: int
    stream: int = Field(description="Video stream of the file; 0 is the one that players show.")
    start_seconds: float
    end_seconds: float
    frames: int
    usable_frames: int
    score: float | None
    supported: bool = Field(description="Has enough usable frames to count for the verdict.")
    flagged_ranges: list[tuple[float, float]] = Field(
        description="Flagged parts: start and end in seconds, in order."
    )
    family: Family | None = Field(
        description="What a flagged face most resembles, of the families that the model was taught: a guess. "
        "Null where the face is not flagged, and where the model is not sure enough or names no families."
    )
    family_probability: float | None = Field(
        description="The calibrated probability of the family, given that it is a fake of a family it knows."
    )
    evidence: Evidence | None = Field(
        description="Summed over the explained frames of the face; null without any."
    )
    faces: list[FrameScore]


class ExplanationSummary(_Given):
    id: int
    method: ExplanationMethod
    seed: int | None
    r2: float | None = Field(description="How well the local model fits, at most 1.")
    stability: float | None = Field(description="How much other seeds agree, from 0 to 1.")
    overlays: Overlays = Field(description="Names of its overlay pictures.")
    evidence: Evidence | None = Field(description="In this frame; null for methods that weigh no parts.")


class FlaggedFrame(_Given):
    id: int
    rank: int = Field(description="0 is the most suspicious.")
    track: int
    time_seconds: float
    box: Box
    frame_width: int | None = Field(description="Width in pixels of the frame that the box refers to.")
    frame_height: int | None
    score: float
    explain_status: ExplainStatus
    explain_error: str | None
    explanations: list[ExplanationSummary]


class Screening(_Given):
    screening_id: int
    model_version: str
    model_label: str
    status: ScreeningStatus
    verdict: Verdict | None
    score: float | None
    latest: bool = Field(description="Represents the video in the queue.")
    finished_at: datetime | None


class Decision(_Given):
    id: int
    account: str
    outcome: DecisionOutcome
    reason: str | None
    note: str | None
    blind: bool = Field(description="The score was hidden.")
    model_version: str | None = Field(description="Whose result the reviewer saw.")
    created_at: datetime


class Sighting(_Given):
    source: str
    name: str
    seen_at: datetime


class Model(_Given):
    id: str
    label: str
    architecture: str
    weights_sha256: str
    fake_threshold: float | None
    suspect_threshold: float | None


class KnownDecision(_Given):
    outcome: DecisionOutcome
    account: str
    created_at: datetime


class KnownContent(_Given):
    """Another video, or an entry of an imported list, with frames that look the same."""

    video_id: int | None = Field(description="Null: an entry of a list.")
    name: str
    list_name: str | None
    distance: int = Field(description="Bits, of 256, between the two closest frames.")
    share: float = Field(description="Of this video's hashes, those that have their like there.")
    other_share: float = Field(description="Of the other's hashes, those that have their like here.")
    mirrored: bool = Field(description="One is the mirror image of the other.")
    decision: KnownDecision | None = Field(description="The last answer on the other video.")


class Manifest(_Given):
    """A C2PA manifest: the newest of the file."""

    state: ManifestState = Field(
        description="Whether it holds. `valid`: intact, but nobody on the trust list vouches for the signer."
    )
    signer: str | None = Field(description="The organisation in the signing certificate.")
    claim_generator: str | None = Field(description="The software that wrote it.")
    signed_at: str | None = Field(description="As its time stamp says.")
    actions: list[str] = Field(description="Of it and of what the file was made from.")
    source_types: list[str] = Field(description="IPTC digital source types of these actions.")
    problems: list[str] = Field(description="C2PA's codes of what does not hold, or why it is unreadable.")


class Provenance(_Given):
    """What a file states about where it comes from. No score depends on it; its absence says nothing."""

    stated: Stated = Field(description="All of it in one word, as the filter `provenance` takes it.")
    manifest: Manifest | None
    source_types: list[str] = Field(description="IPTC digital source types in its XMP packet.")
    generators: list[str] = Field(description="Tools whose marks it carries.")


class Policy(_Given):
    """By what rules frame scores became the verdict."""

    suspect_from: float = Field(description="Score from which a video is `suspect`.")
    fake_from: float
    stretch_frames: int = Field(description="Usable frames that form a stretch.")
    top_fraction: float = Field(description="Of a stretch's frames, highest first, that its score averages.")


class EarlierAnswer(_Given):
    """What this screening said before its present answer."""

    replaced_at: datetime
    because: Replaced = Field(description="`reaggregated`: by another policy, from the stored logits.")
    policy: Policy | None
    verdict: Verdict
    score: float | None


class Kept(_Given):
    hold: str | None = Field(description="Legal hold: why nothing of it may be erased.")
    original_erased_at: datetime | None = Field(description="When the file's days were over.")
    faces_erased_at: datetime | None = Field(description="When the days of its flagged faces were over.")


class VideoDetail(_Given):
    """One video in full."""

    video: Video = Field(validation_alias="item")
    model: Model
    attempt: int
    queued_at: datetime
    started_at: datetime | None
    raw_score: float | None = Field(description="The logit behind the score.")
    policy: Policy | None = Field(description="Null: no verdict yet, or by an older release.")
    unseen: list[str] = Field(description="What was not examined, in words.")
    looks: float | None = Field(
        description="Number of faces and stretches of which the worst gave the score."
    )
    probe: dict[str, Any] | None = Field(description="Container, codec, size, duration.")
    provenance: Provenance | None = Field(description="Null where it was not looked for yet.")
    timings: dict[str, Any] | None = Field(
        description="Seconds per stage, some of which run side by side, and in all (`total`)."
    )
    tracks: list[Track]
    flagged_frames: list[FlaggedFrame]
    kept: Kept
    screenings: list[Screening] = Field(
        description="By all model versions, the most recently requested first."
    )
    earlier: list[EarlierAnswer] = Field(description="Of this screening, the newest first.")
    decisions: list[Decision] = Field(description="Oldest first.")
    sightings: list[Sighting] = Field(description="Oldest first.")
    known: list[KnownContent] = Field(
        description="What it looks like: decided videos first, then imported lists, then other videos."
    )


class Segments(BaseModel):
    """A segmentation as run lengths over the rows of the crop: `values[i]` repeats `lengths[i]` times."""

    height: int
    width: int
    values: list[int] = Field(description="Segment numbers.")
    lengths: list[int]


class Explanation(_Given):
    id: int
    video_id: int
    flagged_frame_id: int
    method: ExplanationMethod
    parameters: dict[str, Any] = Field(description="Everything needed to reproduce it.")
    seed: int | None
    segments: Annotated[Segments | None, BeforeValidator(_unpacked)]
    weights: list[float] = Field(description="Per segment; above 0 points to fake.")
    intercept: float | None
    local_prediction: float | None = Field(description="The local model's prediction for the crop itself.")
    r2: float | None
    stability: float | None
    overlays: Overlays = Field(description="Names of its overlay pictures.")
    evidence: Evidence | None = Field(description="Null for methods that weigh no parts.")


Words = Annotated[str, StringConstraints(strip_whitespace=True, pattern=NO_NUL)]


class NewDecision(_Taken):
    outcome: DecisionOutcome
    reason: Annotated[Words, StringConstraints(max_length=200)] | None = None
    note: Annotated[Words, StringConstraints(max_length=4000)] | None = None


class Decided(BaseModel):
    video_id: int
    decision_state: DecisionState = Field(description="The video's new state.")


class Claimed(BaseModel):
    video_id: int
    expires_at: datetime = Field(description="Until then it is yours alone; claim again to extend it.")


class NewScreening(_Taken):
    model_version: Annotated[Words, StringConstraints(max_length=64)] | None = Field(
        None, description="A known model version; by default the one of this installation."
    )
    urgent: bool = Field(
        False, description="Before bulk work and what arrives by itself: priority `interactive`."
    )


class Requested(BaseModel):
    screening_id: int
    attempt: int
    model_version: str
    enqueued: bool = Field(description="False: Redis is down; screening starts once it is back.")


class Uploaded(BaseModel):
    video_id: int
    sha256: str
    name: str
    intake: Intake = Field(
        description="`queued`: a screening was requested; `known`: the content was already there."
    )
    priority: Priority


class NewDirectUpload(_Taken):
    """What a client is going to send."""

    name: str = Field("upload", max_length=500, description="File name by which people can find it.")
    size_bytes: int = Field(ge=1)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="Of the content, hex.")
    priority: Priority = Field(
        Priority.NORMAL, description="`interactive` takes the scope `interactive`, or a person's session."
    )


class DirectPart(BaseModel):
    number: int = Field(description="From 1.")
    start: int = Field(description="Its first byte in the file.")
    size_bytes: int
    url: str = Field(description="PUT the bytes there, with no header that is not needed.")


class DirectUpload(BaseModel):
    """Where to send a large file: to the object store itself, in parts, in any order, again if need be."""

    id: str
    parts: list[DirectPart]
    expires_at: datetime = Field(description="When the addresses and the upload end.")


class Status(_Given):
    """How far the screening of a video is, by the one that represents it in the queue."""

    video_id: int
    status: ScreeningStatus = Field(description="`done` and `failed` are ends; `failed` says why.")
    priority: Priority
    verdict: Verdict | None
    score: float | None = Field(description="Calibrated probability of a fake.")
    score_hidden: bool = Field(False, description="You review in blind mode and have not decided yet.")
    error_code: str | None = Field(description="`cancelled`, `broken_media` and others; stable.")
    error_message: str | None
    flagged: int = Field(description="Number of flagged frames.")
    explained: int = Field(description="Of these, how many are explained, or failed to be.")
    decisions: int
