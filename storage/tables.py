"""The tables. A change here is a new Alembic revision in `migrations/versions`.

A video is content, identified by its SHA-256; a sighting is a name under which that content (or a file that
is not a video) was seen; a screening is one model version's result for one video.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    select,
    text,
    true,
)
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.orm import DeclarativeBase, Mapped, column_property, mapped_column, synonym

from core import traces
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
from core.roles import Role
from core.signals import DeliveryStatus
from core.streams import StreamStatus
from storage.folding import folded


class Utc(TypeDecorator[datetime]):
    """A time-zone-aware moment, stored as UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment without a time zone cannot be stored")
        value = value.astimezone(UTC)
        # SQLite stores no time zone; naive UTC text still compares in order.
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def utc_now() -> datetime:
    return datetime.now(UTC)


def _one_of(column: str, words: type[Any]) -> CheckConstraint:
    listed = ", ".join(f"'{word.value}'" for word in words)
    return CheckConstraint(f"{column} IN ({listed})", name=f"{column}_known")


def _unit(column: str) -> CheckConstraint:
    return CheckConstraint(f"{column} >= 0 AND {column} <= 1", name=f"{column}_unit")


def _folded_name(context: DefaultExecutionContext) -> str:
    parameters: dict[str, Any] = context.get_current_parameters()  # type: ignore[no-untyped-call]
    return folded(parameters["name"])


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012  SQLAlchemy reads it from the class
        datetime: Utc,
        dict[str, Any]: JSON,
        dict[str, int]: JSON,
        list[float]: JSON,
        list[str]: JSON,
        list[list[float]]: JSON,
        str: Text,
    }


class Video(Base):
    __tablename__ = "video"
    __table_args__ = (_one_of("media_kind", MediaKind),)

    id: Mapped[int] = mapped_column(primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    media_kind: Mapped[str] = mapped_column(String(16))
    object_key: Mapped[str]  # of the content in the object store; empty once that was erased
    created_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)
    hold: Mapped[str | None]  # legal hold: why nothing of it may be erased
    # By storage.retention.
    original_erased_at: Mapped[datetime | None]
    faces_erased_at: Mapped[datetime | None]


class Erasure(Base):
    """Content that was erased for good and is not taken in again (storage.erasure)."""

    __tablename__ = "erasure"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    reason: Mapped[str]
    at: Mapped[datetime] = mapped_column(default=utc_now)


class Sighting(Base):
    """A file seen under a name. Without a video it was refused; the error says why."""

    __tablename__ = "sighting"
    __table_args__ = (UniqueConstraint("source", "name", "size_bytes", "mtime_ns"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    source: Mapped[str]  # "bucket:/path", "path", ...
    name: Mapped[str]  # path below the source, escaped where it is not valid text
    folded_name: Mapped[str] = mapped_column(default=_folded_name)  # what a search is compared with
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    video_id: Mapped[int | None] = mapped_column(ForeignKey("video.id"), index=True)
    error_code: Mapped[str | None]
    error_message: Mapped[str | None]
    seen_at: Mapped[datetime] = mapped_column(default=utc_now)


class SourceCursor(Base):
    """How far a listing has come (storage.source_cursors)."""

    __tablename__ = "source_cursor"

    name: Mapped[str] = mapped_column(primary_key=True)  # who lists what: "watch s3://bucket/"
    after: Mapped[str]  # the last key that has been dealt with, URL-encoded
    listed: Mapped[int] = mapped_column(BigInteger)  # keys that have been dealt with in this round
    began_at: Mapped[datetime] = mapped_column(default=utc_now)  # the round
    ended_at: Mapped[datetime | None]


class KeyLook(Base):
    """A key of a bucket that is to be looked at (storage.key_looks)."""

    __tablename__ = "key_look"
    __table_args__ = (Index(None, "bucket", "due_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    bucket: Mapped[str]
    key: Mapped[str]  # URL-encoded
    tries: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime]  # by the database's clock


class ModelVersionRow(Base):
    __tablename__ = "model_version"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    architecture: Mapped[str]
    label: Mapped[str]
    weights_sha256: Mapped[str] = mapped_column(String(64))
    input_size: Mapped[int]
    details: Mapped[dict[str, Any]]  # crop, calibration, thresholds, training record
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


def _queue_indexes() -> list[Index]:
    """What storage.queue.plan walks along: by score and by time, through all videos, a source or a model.

    The last column is there so that a range of it is checked without a look at the row.
    """
    orders = {"score": ("score", "id", "added_at"), "time": ("added_at", "id", "score")}
    leads: dict[str, tuple[str, ...]] = {"": (), "source_": ("source",), "model_": ("model_version_id",)}
    latest: dict[str, Any] = {"sqlite_where": text("latest = 1"), "postgresql_where": text("latest")}
    return [
        Index(
            f"ix_screening_queue_{lead}{order}",
            *leads[lead],
            *("status", "verdict", "decision_state"),
            *orders[order],
            # A superseded screening is found only under its model version.
            **({} if lead == "model_" else latest),
        )
        for lead in leads
        for order in orders
    ]


class Screening(Base):
    """The current screening of one video by one model version."""

    __tablename__ = "screening"
    __table_args__ = (
        UniqueConstraint("video_id", "model_version_id"),
        _one_of("status", ScreeningStatus),
        _one_of("decision_state", DecisionState),
        _one_of("priority", Priority),
        CheckConstraint(
            "verdict IS NULL OR verdict IN (" + ", ".join(f"'{v.value}'" for v in Verdict) + ")",
            name="verdict_known",
        ),
        _unit("score"),
        _unit("coverage"),
        CheckConstraint("(status = 'done') = (verdict IS NOT NULL)", name="verdict_when_done"),
        CheckConstraint("(status = 'failed') = (error_code IS NOT NULL)", name="error_when_failed"),
        Index(None, "status", "lease_expires_at"),
        # The dashboard's, with all that it groups by.
        Index("ix_screening_finished", "finished_at", "verdict", "error_code", "model_version_id", "score"),
        Index(None, "model_version_id", "id"),
        # Whether an object is still needed.
        Index(
            None,
            "poster_key",
            sqlite_where=text("poster_key IS NOT NULL"),
            postgresql_where=text("poster_key IS NOT NULL"),
        ),
        *_queue_indexes(),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    video_id: Mapped[int] = mapped_column(ForeignKey("video.id"))
    model_version_id: Mapped[str] = mapped_column(ForeignKey("model_version.id"))
    # The fencing token: a worker's write counts only while its attempt is the row's.
    attempt: Mapped[int] = mapped_column(default=1)
    # Attempts since the request that ended without a result and may have done so because of the video.
    failures: Mapped[int] = mapped_column(default=0)
    status: Mapped[str] = mapped_column(String(16), default=ScreeningStatus.QUEUED)
    # Of its jobs and of those that explain its frames.
    priority: Mapped[str] = mapped_column(String(16), default=Priority.NORMAL, server_default=Priority.NORMAL)
    lease_owner: Mapped[str | None]
    lease_expires_at: Mapped[datetime | None]
    traceparent: Mapped[str | None] = mapped_column(String(traces.LENGTH))  # of what asked for it
    queued_at: Mapped[datetime] = mapped_column(default=utc_now)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    verdict: Mapped[str | None] = mapped_column(String(16))
    score: Mapped[float | None]  # calibrated probability of a fake, [0, 1]
    raw_score: Mapped[float | None]  # the aggregated logit behind it
    looks: Mapped[float | None]  # at faces and stretches, of which the worst decided
    coverage: Mapped[float | None]  # decoded samples / expected samples, [0, 1]
    partial: Mapped[bool] = mapped_column(default=False)  # coverage below 1
    unseen: Mapped[list[str] | None]  # what was not looked at, in words
    # What the file says about where it comes from (core.provenance). Null: screened by an older release.
    provenance: Mapped[dict[str, Any] | None]
    provenance_stated: Mapped[str | None] = mapped_column(String(16))
    # How many faces the quality gate kept from the classifier, by reason: worker.screening.quality.Rejection.
    rejected_faces: Mapped[dict[str, int]] = mapped_column(default=dict, server_default="{}")
    longest_unseen_seconds: Mapped[float | None]  # of the video, without an undamaged sample
    # Degrees clockwise by which the picture is turned so that most of the faces stand.
    turn: Mapped[int] = mapped_column(default=0, server_default="0")
    probe: Mapped[dict[str, Any] | None]  # container, codec, size, duration
    timings: Mapped[dict[str, Any] | None]  # seconds per stage
    # Of a small JPEG for lists. Null: no frame, screened by an older release, or erased.
    poster_key: Mapped[str | None]
    error_code: Mapped[str | None]
    error_message: Mapped[str | None]
    policy: Mapped[str | None]  # core.policy.Policy that gave the verdict. Null: by an older release.
    # More than half of the samples of a stream came damaged. Null: screened by an older release.
    mostly_damaged: Mapped[bool | None]
    revision: Mapped[int] = mapped_column(default=0, server_default="0")  # answers that were replaced
    # The next three belong to the video and are repeated here for the queue's indexes.
    # Whether this screening represents its video in the queue: the last one to finish, or the first one while
    # none has finished.
    latest: Mapped[bool] = mapped_column(default=True, server_default=true())
    added_at: Mapped[datetime] = mapped_column(default=utc_now)  # video.created_at
    source: Mapped[str] = mapped_column(default="", server_default="")  # where it was first seen
    # Maintained by storage.people.decisions.
    decision_state: Mapped[str] = mapped_column(
        String(16), default=DecisionState.OPEN, server_default=DecisionState.OPEN
    )


class EarlierAnswer(Base):
    """What a screening said before another policy, or another look at the video, gave its present answer."""

    __tablename__ = "earlier_answer"
    __table_args__ = (UniqueConstraint("screening_id", "number"), _one_of("because", Replaced))

    id: Mapped[int] = mapped_column(primary_key=True)
    screening_id: Mapped[int] = mapped_column(ForeignKey("screening.id", ondelete="CASCADE"))
    number: Mapped[int]  # Screening.revision while it was the answer
    replaced_at: Mapped[datetime] = mapped_column(default=utc_now)
    because: Mapped[str] = mapped_column(String(16))
    policy: Mapped[str | None]
    verdict: Mapped[str] = mapped_column(String(16))
    score: Mapped[float | None]
    raw_score: Mapped[float | None]
    looks: Mapped[float | None]


class ModelPromotion(Base):
    """From then on this model version screens new videos; the last one that was not undone does."""

    __tablename__ = "model_promotion"

    id: Mapped[int] = mapped_column(primary_key=True)
    model_version_id: Mapped[str] = mapped_column(ForeignKey("model_version.id"))
    at: Mapped[datetime] = mapped_column(default=utc_now)
    actor: Mapped[str]
    undone_at: Mapped[datetime | None]


class ShadowAnswer(Base):
    """What another model version said of a video in the same pass; no verdict depends on it."""

    __tablename__ = "shadow_answer"
    __table_args__ = (
        UniqueConstraint("screening_id", "model_version_id"),
        Index(None, "model_version_id", "screening_id"),
        _unit("score"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    screening_id: Mapped[int] = mapped_column(ForeignKey("screening.id", ondelete="CASCADE"))
    model_version_id: Mapped[str] = mapped_column(ForeignKey("model_version.id"))
    policy: Mapped[str]
    verdict: Mapped[str] = mapped_column(String(16))
    score: Mapped[float | None]
    raw_score: Mapped[float | None]
    looks: Mapped[float]
    logits: Mapped[list[float]]  # of the usable faces, in the order of their rows
    seconds: Mapped[float]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class FaceTrack(Base):
    __tablename__ = "face_track"
    __table_args__ = (UniqueConstraint("screening_id", "number"), _unit("score"))

    id: Mapped[int] = mapped_column(primary_key=True)
    screening_id: Mapped[int] = mapped_column(ForeignKey("screening.id", ondelete="CASCADE"))
    number: Mapped[int]  # from 0 within the screening
    stream: Mapped[int] = mapped_column(default=0, server_default="0")  # of pictures; 0 is what players show
    start_seconds: Mapped[float]
    end_seconds: Mapped[float]
    frames: Mapped[int]
    usable_frames: Mapped[int]
    score: Mapped[float | None]
    raw_score: Mapped[float | None]
    supported: Mapped[bool]  # enough usable frames for a say in the verdict
    # Its flagged parts: from and to, in seconds, by time.
    flagged_ranges: Mapped[list[list[float]]] = mapped_column(default=list, server_default="[]")
    # What it most resembles, of core.families.Family: a guess. Null: not flagged, not sure, or older.
    family: Mapped[str | None] = mapped_column(String(16))
    family_probability: Mapped[float | None]  # [0, 1], calibrated, if it is a fake of a known family


class FaceRow(Base):
    """A face in one frame."""

    __tablename__ = "face"
    __table_args__ = (_unit("probability"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    screening_id: Mapped[int] = mapped_column(ForeignKey("screening.id", ondelete="CASCADE"), index=True)
    track_id: Mapped[int] = mapped_column(ForeignKey("face_track.id", ondelete="CASCADE"), index=True)
    frame_index: Mapped[int]
    time_seconds: Mapped[float]
    x0: Mapped[float]
    y0: Mapped[float]
    x1: Mapped[float]
    y1: Mapped[float]
    # Size in pixels of the upright frame that the box refers to; null in rows of older releases.
    frame_width: Mapped[int | None]
    frame_height: Mapped[int | None]
    landmarks: Mapped[list[list[float]]]
    probability: Mapped[float]
    sharpness: Mapped[float]
    yaw: Mapped[float]
    roll: Mapped[float | None]  # degrees clockwise, after the frame is turned; null in rows of older releases
    turn: Mapped[int] = mapped_column(default=0, server_default="0")  # as Screening.turn, for this face
    rejected_because: Mapped[str | None]  # by the quality gate; null: usable

    @property
    def box(self) -> tuple[float, float, float, float]:
        return self.x0, self.y0, self.x1, self.y1


class FrameScore(Base):
    """The raw logit of a usable face, kept so that policies can be run again without a GPU."""

    __tablename__ = "frame_score"

    face_id: Mapped[int] = mapped_column(ForeignKey("face.id", ondelete="CASCADE"), primary_key=True)
    logit: Mapped[float]


class FlaggedFrame(Base):
    __tablename__ = "flagged_frame"
    __table_args__ = (
        UniqueConstraint("screening_id", "rank"),
        _unit("score"),
        _one_of("explain_status", ExplainStatus),
        Index(None, "explain_status", "lease_expires_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    screening_id: Mapped[int] = mapped_column(ForeignKey("screening.id", ondelete="CASCADE"))
    face_id: Mapped[int] = mapped_column(ForeignKey("face.id", ondelete="CASCADE"), index=True)
    track_number: Mapped[int]
    rank: Mapped[int]  # 0 is the most suspicious
    time_seconds: Mapped[float]
    score: Mapped[float]  # calibrated frame score, [0, 1]
    image_key: Mapped[str] = mapped_column(index=True)  # JPEG of the whole frame
    crop_key: Mapped[str] = mapped_column(index=True)  # PNG of exactly what was classified
    explain_status: Mapped[str] = mapped_column(String(16), default=ExplainStatus.QUEUED)
    explain_attempt: Mapped[int] = mapped_column(default=1)  # the fencing token
    explain_failures: Mapped[int] = mapped_column(default=0, server_default="0")  # as Screening.failures
    explain_error: Mapped[str | None]
    lease_owner: Mapped[str | None]
    lease_expires_at: Mapped[datetime | None]
    # The names that storage.leases uses.
    attempt: Mapped[int] = synonym("explain_attempt")
    failures: Mapped[int] = synonym("explain_failures")
    status: Mapped[str] = synonym("explain_status")
    priority: Mapped[str] = column_property(
        select(Screening.priority).where(Screening.id == screening_id).scalar_subquery(), deferred=True
    )


class ExplanationRow(Base):
    __tablename__ = "explanation"
    __table_args__ = (
        UniqueConstraint("flagged_frame_id", "method"),
        _one_of("method", ExplanationMethod),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    flagged_frame_id: Mapped[int] = mapped_column(ForeignKey("flagged_frame.id", ondelete="CASCADE"))
    method: Mapped[str] = mapped_column(String(16))
    parameters: Mapped[dict[str, Any]]
    seed: Mapped[int | None]
    segments: Mapped[bytes | None] = mapped_column(LargeBinary)  # storage.run_length
    weights: Mapped[list[float]]
    intercept: Mapped[float | None]
    local_prediction: Mapped[float | None]
    r2: Mapped[float | None]
    stability: Mapped[float | None]
    overlays: Mapped[dict[str, Any]]  # name -> object key of a PNG
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class KnownList(Base):
    """A list of hashes of known content that was imported."""

    __tablename__ = "known_list"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class FrameHashRow(Base):
    """What a frame of a video looks like, or an entry of a list (core.known.FrameHash)."""

    __tablename__ = "frame_hash"
    __table_args__ = (
        UniqueConstraint("list_id", "pdq"),
        CheckConstraint("(video_id IS NULL) <> (list_id IS NULL)", name="of_one"),
        # No number is given out twice: processes keep what they know of it in memory (storage.known.index).
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    video_id: Mapped[int | None] = mapped_column(ForeignKey("video.id", ondelete="CASCADE"), index=True)
    list_id: Mapped[int | None] = mapped_column(ForeignKey("known_list.id", ondelete="CASCADE"))
    label: Mapped[str | None]  # what the list calls it
    pdq: Mapped[bytes] = mapped_column(LargeBinary)
    mirrored: Mapped[bytes | None] = mapped_column(LargeBinary)  # lists do not tell it
    quality: Mapped[int]  # 0 to 100
    time_seconds: Mapped[float | None]


class KnownMatch(Base):
    """A video looks like another one, or like an entry of a list. Those between videos hold both ways."""

    __tablename__ = "known_match"
    __table_args__ = (CheckConstraint("(other_video_id IS NULL) <> (list_hash_id IS NULL)", name="of_one"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    video_id: Mapped[int] = mapped_column(ForeignKey("video.id", ondelete="CASCADE"), index=True)
    other_video_id: Mapped[int | None] = mapped_column(ForeignKey("video.id", ondelete="CASCADE"), index=True)
    list_hash_id: Mapped[int | None] = mapped_column(
        ForeignKey("frame_hash.id", ondelete="CASCADE"), index=True
    )
    distance: Mapped[int]  # bits between the two closest frames
    share: Mapped[float]  # of the video's hashes that have their like there
    other_share: Mapped[float]  # of the other's hashes that have their like here
    mirrored: Mapped[bool]


class Account(Base):
    """A person who signs in, or a machine that uses tokens. Accounts are disabled, never deleted."""

    __tablename__ = "account"
    __table_args__ = (
        _one_of("role", Role),
        CheckConstraint("name = lower(name)", name="name_lowercase"),
        Index(None, "issuer", "subject", unique=True),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    password_hash: Mapped[str | None]  # Argon2id; null: cannot sign in
    role: Mapped[str] = mapped_column(String(16))
    active: Mapped[bool] = mapped_column(default=True)
    must_change: Mapped[bool] = mapped_column(
        default=False
    )  # the password must be changed before anything else
    blind: Mapped[bool] = mapped_column(
        default=False
    )  # the reviewer's choice: scores are hidden until they decide
    # Of an OpenID Connect provider: who signs in there, and which of those it knows.
    issuer: Mapped[str | None]
    subject: Mapped[str | None] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class LoginSession(Base):
    """A browser that has signed in. Only a hash of its cookie is stored."""

    __tablename__ = "login_session"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)  # SHA-256 of the cookie's token, hex
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"), index=True)
    csrf_token: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[datetime] = mapped_column(index=True)
    last_seen_at: Mapped[datetime] = mapped_column(default=utc_now)
    confirmed_at: Mapped[
        datetime | None
    ]  # when the password was last entered again; signing in does not set it


class ApiToken(Base):
    """A machine's key to the API. Only a hash is stored; tokens are revoked, never deleted."""

    __tablename__ = "api_token"

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(64))
    token_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[list[str]]  # core.roles.Scope
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    parent_id: Mapped[int | None] = mapped_column(
        index=True
    )  # the token that created this one; this one ends with it
    last_used_at: Mapped[datetime | None]


class SignInAttempt(Base):
    """A sign-in attempt, kept for a day to limit guessing."""

    __tablename__ = "sign_in_attempt"
    __table_args__ = (Index(None, "name", "at"), Index(None, "address", "at"))

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(
        String(64)
    )  # as typed, lowercased and truncated; may not belong to any account
    address: Mapped[str] = mapped_column(String(64))  # IPv4 address or IPv6 /64 network
    at: Mapped[datetime] = mapped_column(default=utc_now, index=True)
    succeeded: Mapped[bool] = mapped_column(default=False)


class SpentNonce(Base):
    """Of a sign-in at a provider that is over: its answer does not count again."""

    __tablename__ = "spent_nonce"

    nonce_sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class SignInFailure(Base):
    """Sign-ins that failed in one minute, until they are told to the audit log."""

    __tablename__ = "sign_in_failure"

    minute: Mapped[datetime] = mapped_column(primary_key=True)  # its beginning
    account: Mapped[str] = mapped_column(String(64), primary_key=True)
    address: Mapped[str] = mapped_column(String(64), primary_key=True)
    reason: Mapped[str] = mapped_column(String(32), primary_key=True)  # storage.people.failures.Reason
    failures: Mapped[int]


class Decision(Base):
    """What a reviewer decided about a video, and what they saw. The latest decision of an account counts."""

    __tablename__ = "decision"
    __table_args__ = (_one_of("outcome", DecisionOutcome), Index(None, "video_id", "id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    video_id: Mapped[int] = mapped_column(ForeignKey("video.id"))
    # That the reviewer saw.
    screening_id: Mapped[int | None] = mapped_column(ForeignKey("screening.id"), index=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), index=True)
    outcome: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str | None]
    note: Mapped[str | None]
    blind: Mapped[bool] = mapped_column(default=False)  # the score was hidden
    created_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)


class ReviewClaim(Base):
    """A reviewer's lease on a video: no other reviewer gets it until it expires."""

    __tablename__ = "review_claim"

    video_id: Mapped[int] = mapped_column(ForeignKey("video.id"), primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), index=True)
    claimed_at: Mapped[datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class ReviewSkip(Base):
    """A video that this reviewer does not want to be offered again."""

    __tablename__ = "review_skip"

    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), primary_key=True)
    video_id: Mapped[int] = mapped_column(ForeignKey("video.id"), primary_key=True, index=True)
    at: Mapped[datetime] = mapped_column(default=utc_now)


class SchemaContract(Base):
    """One row: which releases can work with this schema, for those that are older than it."""

    __tablename__ = "schema_contract"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    oldest: Mapped[str] = mapped_column(String(4))  # the newest revision that the oldest of them knows


class KeptAnswer(Base):
    """The answer to an upload that came with an Idempotency-Key, for whoever repeats it."""

    __tablename__ = "kept_answer"

    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)  # as the client sent it
    sha256: Mapped[str] = mapped_column(String(64))  # of the content
    answer: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)


class DirectUploadRow(Base):
    """An upload that a client sends to the object store itself, until some time after it is complete."""

    __tablename__ = "direct_upload"
    __table_args__ = (_one_of("priority", Priority),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)  # random, hex
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))  # whose it is
    name: Mapped[str]  # by which people can find it
    sha256: Mapped[str] = mapped_column(String(64))  # as announced
    priority: Mapped[str] = mapped_column(String(16))
    # storage.objects.store.DirectUpload
    object_name: Mapped[str]
    upload_number: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    part_bytes: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[datetime] = mapped_column(index=True)
    answer: Mapped[dict[str, Any] | None]  # once it is complete


class WebhookEndpoint(Base):
    """An address of another system that is told of events."""

    __tablename__ = "webhook_endpoint"

    id: Mapped[int] = mapped_column(primary_key=True)
    url: Mapped[str]
    events: Mapped[list[str]]  # core.signals.Signal
    active: Mapped[bool] = mapped_column(default=True)
    gone_at: Mapped[datetime | None]  # when its receiver answered 410, which disabled it
    # Kept readable, since every signature needs them: `whsec_` and base64.
    secret: Mapped[str]
    previous_secret: Mapped[str | None]  # signs as well until then
    previous_until: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class WebhookEvent(Base):
    """The outbox: something that happened, written in the transaction in which it did."""

    __tablename__ = "webhook_event"

    id: Mapped[int] = mapped_column(primary_key=True)
    message_id: Mapped[str] = mapped_column(String(64), unique=True)  # by which receivers know a repetition
    type: Mapped[str] = mapped_column(String(32))  # core.signals.Signal
    body: Mapped[str]  # exactly what is sent and signed
    created_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)


class WebhookDelivery(Base):
    """An event on its way to one endpoint."""

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        UniqueConstraint("event_id", "endpoint_id"),
        _one_of("status", DeliveryStatus),
        Index(None, "endpoint_id", "status", "id"),
        Index(None, "endpoint_id", "video_id", "status", "id"),
        Index(None, "endpoint_id", "stream_id", "status", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    event_id: Mapped[int] = mapped_column(ForeignKey("webhook_event.id", ondelete="CASCADE"))
    endpoint_id: Mapped[int] = mapped_column(ForeignKey("webhook_endpoint.id", ondelete="CASCADE"))
    video_id: Mapped[int | None]  # events of one video go out in order,
    stream_id: Mapped[int | None]  # as do those of one live stream
    status: Mapped[str] = mapped_column(String(16), default=DeliveryStatus.WAITING)
    attempts: Mapped[int] = mapped_column(default=0)  # begun; the fencing token
    failures: Mapped[int] = mapped_column(default=0)  # since it was written, or replayed
    due_at: Mapped[datetime] = mapped_column(default=utc_now)
    lease_owner: Mapped[str | None]
    lease_expires_at: Mapped[datetime | None]
    http_status: Mapped[int | None]  # of the last attempt's answer
    error: Mapped[str | None]  # why the last attempt failed
    ended_at: Mapped[datetime | None]  # delivered, or given up


class LiveStream(Base):
    """A live stream that is watched, waits for a worker, or was."""

    __tablename__ = "live_stream"
    __table_args__ = (_one_of("status", StreamStatus), Index(None, "status", "lease_expires_at"))

    id: Mapped[int] = mapped_column(primary_key=True)
    url: Mapped[str]  # whole, since watching it needs it; its query may hold a key
    name: Mapped[str]  # as people gave it, or the address without its query
    status: Mapped[str] = mapped_column(String(16), default=StreamStatus.WAITING)
    attempt: Mapped[int] = mapped_column(default=1)  # the fencing token
    lease_owner: Mapped[str | None]
    lease_expires_at: Mapped[datetime | None]
    stop_asked: Mapped[bool] = mapped_column(default=False)
    created_by: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    started_at: Mapped[datetime | None]  # by the first worker that claimed it
    seen_at: Mapped[datetime | None]  # when a worker last reported
    ended_at: Mapped[datetime | None]
    error_code: Mapped[str | None] = mapped_column(String(64))
    error_message: Mapped[str | None]
    model_version_id: Mapped[str | None]  # of the worker that reported last
    position_seconds: Mapped[float] = mapped_column(default=0.0)  # stream time, through all workers
    seen_seconds: Mapped[float] = mapped_column(default=0.0)  # of these, looked at
    view: Mapped[dict[str, Any] | None]  # how it is: core.streams.StreamNow


class StreamAlert(Base):
    """A face of a live stream that looked fake for a while."""

    __tablename__ = "stream_alert"
    __table_args__ = (_unit("peak_score"), Index(None, "stream_id", "id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    stream_id: Mapped[int] = mapped_column(ForeignKey("live_stream.id", ondelete="CASCADE"))
    track_number: Mapped[int]
    start_seconds: Mapped[float]  # stream time, as all of these
    end_seconds: Mapped[float]  # so far, until it is over
    raised_seconds: Mapped[float]
    raised_at: Mapped[datetime] = mapped_column(default=utc_now)
    over: Mapped[bool] = mapped_column(default=False)
    peak_score: Mapped[float]
    model_version_id: Mapped[str]
    clip_key: Mapped[str | None]  # MP4 of the segments around it


class StreamEvidence(Base):
    """A frame of an alert."""

    __tablename__ = "stream_evidence"
    __table_args__ = (UniqueConstraint("alert_id", "rank"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    alert_id: Mapped[int] = mapped_column(ForeignKey("stream_alert.id", ondelete="CASCADE"))
    rank: Mapped[int]  # 0 is the most suspicious
    time_seconds: Mapped[float]  # stream time
    score: Mapped[float]  # calibrated frame score, [0, 1]
    box: Mapped[list[float]]  # x0, y0, x1, y1 in pixels of the frame
    frame_width: Mapped[int]
    frame_height: Mapped[int]
    image_key: Mapped[str]  # JPEG of the whole frame
    crop_key: Mapped[str]  # PNG of exactly what was classified


class AuditEvent(Base):
    """What happened, and who did it. Triggers refuse changes and deletions; storage.audit chains the rows."""

    __tablename__ = "audit_event"
    # Unique: no two rows can follow the same one.
    __table_args__ = (
        Index(None, "previous_hash", unique=True),
        Index(None, "actor", "id"),
        Index(None, "action", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(default=utc_now, index=True)
    actor: Mapped[str]
    action: Mapped[str]
    subject: Mapped[str]
    detail: Mapped[dict[str, Any]]
    previous_hash: Mapped[str] = mapped_column(String(64), server_default="")
    hash: Mapped[str] = mapped_column(
        String(64), server_default=""
    )  # SHA-256, hex; see storage.audit.event_hash
