"""All settings of Facewarden, read from the environment (prefix `FACEWARDEN_`) and from `.env`.

Each may come from a file that a variable names: `FACEWARDEN_DATABASE_URL_FILE=/run/secrets/database_url`.
A nested setting joins its names with two underscores: `FACEWARDEN_SAMPLING__MAX_FRAMES=32`.
`docs/settings.md` is generated from this file by `facewarden config --markdown`.
"""

import fnmatch
import hashlib
import os
import re
import tempfile
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from core.errors import SettingsError
from core.outgoing import PORTS, Guard, Patience, networks_of, ports_of
from core.priorities import Priority
from core.retention import Keeping
from core.roles import Role
from core.s3_address import S3Address
from core.secret_files import resolved

SHIPPED_WEIGHTS = Path(__file__).resolve().parent.parent / "models" / "weights" / "xception.safetensors"

# Linux allows 107 bytes in the path of a Unix socket.
LONGEST_SOCKET_PATH = 100

STREAM_SCHEMES = frozenset(PORTS)  # HLS by http and https, RTMP plain and encrypted

SHORTEST_SIGNS_TOKEN = 16  # characters


def _checked_networks(given: str) -> str:
    networks_of(given)
    return given


def _checked_ports(given: str) -> str:
    ports_of(given)
    return given


# Kept as text, so that the tables of settings show them as they are written.
Networks = Annotated[str, AfterValidator(_checked_networks)]
Ports = Annotated[str, AfterValidator(_checked_ports)]


def checked_address(given: str) -> str:
    """The address of a server. Raises ValueError."""
    parts = urlsplit(given)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("give http://host:port or https://host")
    if parts.username or parts.password:
        raise ValueError("credentials do not belong into the address: see docs/operations.md")
    return given


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class IngestSettings(_Section):
    poll_seconds: float = Field(1.0, gt=0, description="How often the bucket folder is scanned.")
    settle_seconds: float = Field(
        2.0,
        ge=0,
        description="How long size and modification time must stay unchanged before a file is taken in.",
    )
    reconcile_seconds: float = Field(
        30.0, gt=0, description="How often the queue is compared with the database and repaired."
    )
    queue_limit: int = Field(
        10_000,
        ge=1,
        description="`facewarden ingest` pauses while so many screenings wait with its priority.",
    )
    max_file_bytes: int = Field(
        20 * 1024**3, gt=0, description="Larger files are refused with `media_too_large`."
    )
    left_alone: str = Field(
        # Hidden files; what network drives and operating systems keep for themselves; unfinished downloads
        # and copies; sidecar files of films and photos.
        ".*,@eaDir,@Recycle,@Recently-Snapshot,#recycle,#snapshot,$RECYCLE.BIN,"
        "System Volume Information,lost+found,Thumbs.db,ehthumbs*.db,"
        "desktop.ini,~$*,*~,*.tmp,*.temp,*.part,*.part[0-9],*.part[0-9][0-9],*.part-Frag*,*.partial,*.filepart,"
        "*.crdownload,*.opdownload,*.download,*.ytdl,*.aria2,*.!qB,*.!ut,*.bc!,*.srt,*.ass,*.ssa,*.vtt,*.sub,"
        "*.idx,*.json,*.xmp,*.nfo,*.aae,*.thm,*.md5,*.sha1,*.sha256,*.sfv,*.torrent,*.url,*.lnk",
        description="Files and folders with these names are ignored: patterns separated by commas,"
        " `*` matches anything, case does not matter.",
    )

    @cached_property
    def left_alone_names(self) -> re.Pattern[str]:
        """Matches the name of a file or folder that is ignored."""
        patterns = (pattern.strip() for pattern in self.left_alone.split(","))
        return re.compile("|".join(map(fnmatch.translate, filter(None, patterns))) or r"(?!)", re.IGNORECASE)


class DecodeSettings(_Section):
    threads: int = Field(2, ge=1, le=16, description="Slice threads of one decoder.")
    max_pixels: int = Field(
        65 * 1000**2,  # photos of 64 megapixels, the most that many phones take
        gt=0,
        description="Largest frame that is decoded: width times height, in pixels.",
    )
    max_duration_seconds: float = Field(
        6 * 3600.0, gt=0, description="Longer videos are refused with `media_too_large`."
    )
    max_streams: int = Field(32, ge=1, description="Files with more streams are refused.")
    max_decoded_frames: int = Field(
        1_500_000,
        ge=1,
        description="Frames decoded for one video before the decoder stops: six hours at 60 a second.",
    )
    memory_bytes: int = Field(
        4 * 1024**3, gt=0, description="Address space of the decoder process (RLIMIT_AS)."
    )
    cpu_seconds: float = Field(5.0, gt=0, description="CPU time that any file may cost, however small it is.")
    cpu_seconds_per_megabyte: float = Field(
        0.5, ge=0, description="Additional CPU time for each megabyte of the file."
    )
    cpu_seconds_per_gigapixel: float = Field(
        40.0, ge=0, description="Additional CPU time for each gigapixel (1e9 pixels) decoded."
    )
    gigapixels: float = Field(
        0.5, gt=0, description="Gigapixels (1e9 pixels) decoded from any file, however small it is."
    )
    gigapixels_per_megabyte: float = Field(
        50.0,
        ge=0,
        description="Additional gigapixels for each megabyte of the file: a still scene has about 40.",
    )
    stall_seconds: float = Field(
        30.0, gt=0, description="The decoder is killed after this long without a frame or a message."
    )


class ProvenanceSettings(_Section):
    """What a file says about where it comes from; only those with a C2PA manifest cost more than a look."""

    trust_anchors: Path | None = Field(
        None,
        description="PEM file with the certificates of those who vouch for signers of C2PA manifests. "
        "Without it every intact manifest is `valid` and none `trusted`.",
    )
    cpu_seconds: int = Field(
        60, ge=1, description="CPU time for reading one manifest; the whole file is hashed."
    )
    memory_bytes: int = Field(
        2 * 1024**3, gt=0, description="Address space of the process that reads manifests (RLIMIT_AS)."
    )


class SamplingSettings(_Section):
    """Of the three rates, the one that asks for the most frames applies, up to `max_frames`."""

    frames_per_second: float = Field(
        2.0, gt=0, description="Frames sampled per second of a short video, up to `short_frames`."
    )
    short_frames: int = Field(64, ge=1, description="Most frames that `frames_per_second` gives.")
    step_seconds: float = Field(
        2.0, gt=0, description="Time between samples of a longer video, up to `step_frames`: an hour."
    )
    step_frames: int = Field(1800, ge=1, description="Most frames that `step_seconds` gives.")
    long_step_seconds: float = Field(
        5.0, gt=0, description="Time between samples of a still longer video, up to `max_frames`: six hours."
    )
    max_frames: int = Field(4320, ge=1, description="Most frames sampled from a video, however long it is.")
    min_frames: int = Field(
        8, ge=1, description="Fewest frames sampled, if the video has them, however short it is."
    )


class DetectionSettings(_Section):
    long_side: int = Field(
        640, ge=64, description="Frames are shrunk to this long side, in pixels, to find faces."
    )
    min_face_fraction: float = Field(
        0.04, gt=0, lt=1, description="Smallest face, as a fraction of the frame's long side."
    )
    min_face_pixels: int = Field(20, ge=12, description="Smallest face, in pixels of the shrunken frame.")
    min_probability: float = Field(
        0.9, ge=0, le=1, description="Detections below this probability are dropped."
    )
    max_faces_per_frame: int = Field(
        64, ge=1, description="Most faces kept per frame, the most probable ones."
    )
    batch_size: int = Field(8, ge=1, description="Frames per call of the detector.")
    backend: Literal["auto", "openvino", "torch"] = Field(
        "auto",
        description="How faces are found, always the same; auto is torch on CUDA and the faster on a CPU.",
    )


class QualitySettings(_Section):
    """A face outside these bounds is stored with the reason but does not count for the score."""

    min_pixels: int = Field(
        40, ge=1, description="Shorter side of the face box, in pixels of the full frame."
    )
    min_sharpness: float = Field(
        12.0, ge=0, description="Variance of the Laplacian of the crop, gray values 0..255, at 112 px."
    )
    max_yaw: float = Field(
        0.75, gt=0, le=1, description="Nose offset from the midpoint of the eyes, 0 frontal, 1 profile."
    )
    # Levelled (models.crop), genuine faces score as upright ones up to about this tilt.
    max_roll: float = Field(
        30.0, gt=0, le=180, description="Tilt of the head towards a shoulder, in degrees."
    )
    min_probability: float = Field(0.95, ge=0, le=1, description="Probability that the detector gives.")


class TrackSettings(_Section):
    min_iou: float = Field(
        0.3,
        gt=0,
        le=1,
        description="Overlap (IoU) at which two boxes are one face without comparing their crops.",
    )
    min_similarity: float = Field(
        0.8, ge=-1, le=1, description="Similarity of crops at which a track continues across a cut or a gap."
    )
    max_gap_seconds: float = Field(
        10.0, gt=0, description="A track unseen for longer, and for `max_gap_samples`, is closed."
    )
    max_gap_samples: int = Field(
        3, ge=1, description="A track missing from this many samples, and for `max_gap_seconds`, is closed."
    )
    min_frames: int = Field(
        3, ge=1, description="Usable frames a track needs to support a verdict (a still needs one)."
    )


class ScoringSettings(_Section):
    stretch_frames: int = Field(
        16,
        ge=5,
        description="Consecutive usable frames that form a stretch; a track's score is its worst one's.",
    )
    top_fraction: float = Field(
        0.5, gt=0, le=1, description="Fraction of a stretch's frames, highest first, that its score averages."
    )
    fake_threshold: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Video score from which the verdict is `fake`; unset uses the checkpoint's.",
    )
    suspect_threshold: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Video score from which the verdict is `suspect`; unset uses the checkpoint's.",
    )
    flagged_frames: int = Field(3, ge=1, description="Frames kept and explained per flagged video.")


class LimeSettings(_Section):
    samples: int = Field(600, ge=10, description="Most perturbed images per explanation.")
    settled: float = Field(
        0.9,
        ge=0,
        le=1,
        description="No more samples once other seeds are expected to agree this far on the top segments; "
        "1 always takes all.",
    )
    target: Literal["logit", "probability"] = Field(
        "logit", description="What is explained; a probability near 1 hardly moves."
    )
    seed: int = Field(0, ge=0, description="Seed of the perturbations.")
    stability_seeds: int = Field(
        1, ge=1, description="Fits compared to measure stability; 1 works it out from the fit's uncertainty."
    )
    top_segments: int = Field(5, ge=1, description="Segments compared and outlined.")
    segmentation: Literal["parts", "slic", "quickshift"] = Field(
        "parts",
        description="How the crop is divided: the face's parts, or regions of like colour; quickshift "
        "(ratio 0.2, max_dist 200) is the papers'.",
    )
    segments: int = Field(50, ge=4, description="Segments requested from SLIC.")
    hidden: Literal["blur", "inpaint", "mean"] = Field(
        "blur", description="What is seen of a hidden segment; its mean colour is the papers'."
    )
    hidden_at_once: int = Field(
        2,
        ge=0,
        le=3,
        description="Most segments that a perturbed image hides; 0 hides half of them, as the papers do.",
    )


class WorkerSettings(_Section):
    job_seconds: int = Field(
        4 * 3600, gt=0, description="Deadline of one job; six hours of video may take one or two."
    )
    lease_seconds: float = Field(
        30.0, gt=0, description="A screening whose worker is silent this long is requeued."
    )
    max_attempts: int = Field(
        4,
        ge=1,
        description="Attempts before a video fails for good; installation failures do not count.",
    )
    stop_seconds: float = Field(
        20.0, ge=2, description="After SIGTERM, how long the running job has to finish before it is requeued."
    )
    recycle_jobs: int = Field(500, ge=1, description="Jobs after which a worker process is replaced.")


class ShadowSettings(_Section):
    """A second checkpoint that looks at the same faces in the same pass, and whose answer changes nothing."""

    weights: Path | None = Field(None, description="Its checkpoint (safetensors); unset is no shadow.")
    share: float = Field(1.0, ge=0, le=1, description="Share of videos that it looks at, by their content.")


class SharesSettings(_Section):
    """Of so many jobs in all, a worker looks first for this many of each priority, then for any other."""

    interactive: int = Field(6, ge=1, le=100, description="Share of uploads by people.")
    normal: int = Field(3, ge=1, le=100, description="Share of the bucket and other services.")
    backfill: int = Field(1, ge=1, le=100, description="Share of bulk work, which is never starved.")

    def by_priority(self) -> dict[Priority, int]:
        return {each: getattr(self, each.value) for each in Priority}


class SweepSettings(_Section):
    """Once a day the ingest process removes objects that no row of the database names."""

    hour: int = Field(3, ge=-1, le=23, description="Hour of the day, local time; -1 is never.")
    grace_hours: float = Field(
        24.0, ge=1, description="Younger objects are kept: their row may not be committed yet."
    )
    max_fraction: float = Field(
        0.1, ge=0, le=1, description="If a larger fraction would be removed, nothing is: see `doctor`."
    )


class S3Settings(_Section):
    """Used for buckets: FACEWARDEN_OBJECTS, FACEWARDEN_BUCKET. Credentials come from boto3's usual places."""

    endpoint_url: str | None = Field(
        None, description="Address of an S3-compatible server (`http://seaweedfs:8333`); unset is AWS."
    )
    public_url: str | None = Field(
        None,
        description="Address under which clients reach it, for direct uploads and signed addresses; unset is"
        " `endpoint_url`.",
    )
    signed_urls: bool = Field(
        False,
        description="Whether players load videos from the server itself, by addresses that work for an hour.",
    )
    region: str | None = Field(None, description="Region of the bucket; unset is what boto3 finds.")
    path_style: bool | None = Field(
        None,
        description="Whether the bucket is part of the path, not of the host's name; unset is yes with an"
        " `endpoint_url`.",
    )
    attempts: int = Field(
        5, ge=1, le=20, description="Attempts of one request that is throttled or not answered."
    )
    connect_seconds: float = Field(5.0, gt=0, le=60, description="How long a connection may take to open.")
    answer_seconds: float = Field(30.0, gt=0, le=60, description="How long the server may stay silent.")
    scratch: Path | None = Field(
        None, description="Folder into which workers fetch videos; unset is in `home`."
    )
    scratch_bytes: int = Field(
        40 * 1000**3,
        gt=0,
        description="Most that is kept there; what was not used for longest goes first.",
    )

    @field_validator("endpoint_url", "public_url")
    @classmethod
    def _an_address(cls, given: str | None) -> str | None:
        return given and checked_address(given)


class S3SourceSettings(_Section):
    """Used where FACEWARDEN_BUCKET is in S3, reached by the settings FACEWARDEN_S3__…"""

    list_seconds: float = Field(
        60.0, gt=0, description="Pause between two listings of a watched bucket in S3."
    )
    at_once: int = Field(4, ge=1, le=32, description="Objects read from it at once, per process.")
    queue_url: str | None = Field(
        None,
        description="Queue of its events (SQS, or a server that speaks like it); unset is none.",
    )

    @field_validator("queue_url")
    @classmethod
    def _an_address(cls, given: str | None) -> str | None:
        return given and checked_address(given)


class WebhookSettings(_Section):
    """Events for other systems, sent by `facewarden deliver`."""

    plain_http: bool = Field(
        False, description="Whether endpoints may begin with `http://`, which anybody on the way can read."
    )
    private_networks: Networks = Field(
        "",
        description="Comma-separated networks that are not public but may be sent to (`10.1.0.0/16`).",
    )
    poll_seconds: float = Field(1.0, gt=0, description="How often the outbox is looked at.")
    silence_seconds: float = Field(10.0, gt=0, description="How long a receiver may stay silent.")
    total_seconds: float = Field(20.0, gt=0, description="How long one attempt may take in all.")
    at_once: int = Field(
        4, ge=1, le=32, description="Most events sent at once to one endpoint, by each process."
    )
    attempts: int = Field(12, ge=1, description="Attempts after which an event is a dead letter.")
    retry_seconds: float = Field(
        5.0, gt=0, description="Pause after the first failure; each later one is three times as long."
    )
    longest_retry_seconds: float = Field(6 * 3600.0, gt=0, description="Longest pause between two attempts.")
    rotate_hours: float = Field(
        24.0, ge=0, description="How long the old secret signs as well after a new one was made."
    )
    keep_days: float = Field(30.0, gt=0, description="Delivered events and dead letters are kept this long.")

    @property
    def guard(self) -> Guard:
        return Guard(
            schemes=frozenset({"https", "http"} if self.plain_http else {"https"}),
            networks=networks_of(self.private_networks),
            remedy="Use a public address that begins with https://, or allow others with"
            " FACEWARDEN_WEBHOOKS__PRIVATE_NETWORKS and FACEWARDEN_WEBHOOKS__PLAIN_HTTP.",
        )


class KnownSettings(_Section):
    """Known content: hashes by which a video that was seen before is recognised."""

    enabled: bool = Field(True, description="Whether frames are hashed and compared while screening.")
    distance: int = Field(
        31, ge=0, le=64, description="Most bits, of 256, in which two frames that look alike differ."
    )
    share: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Least share of either video's hashes that have their like in the other.",
    )
    min_quality: int = Field(
        50, ge=0, le=100, description="Frames with less to tell them by (black, flat) are left out."
    )
    same_bits: int = Field(
        8, ge=0, le=31, description="Hashes of one video that differ in no more bits are kept once."
    )
    max_frames: int = Field(48, ge=1, le=256, description="Most hashes kept of one video.")


class ByUrlSettings(_Section):
    """Files that are fetched by their address (`POST /v1/videos:by-url`, `facewarden ingest https://…`)."""

    enabled: bool = Field(False, description="Whether anything is fetched by its address.")
    ports: Ports = Field("80,443", description="Comma-separated ports that may be connected to.")
    private_networks: Networks = Field(
        "",
        description="Comma-separated networks that are not public but may be fetched from (`10.1.0.0/16`):"
        " whoever may upload can then read what they serve.",
    )
    max_bytes: int = Field(2 * 1000**3, gt=0, description="Larger files are refused with `media_too_large`.")
    silence_seconds: float = Field(15.0, gt=0, description="How long a server may stay silent.")
    total_seconds: float = Field(600.0, gt=0, description="How long a fetch may take, redirects included.")
    redirects: int = Field(5, ge=0, le=20, description="Most redirects that are followed.")
    at_once: int = Field(4, ge=1, le=16, description="Most fetches at once, per process.")

    @property
    def guard(self) -> Guard:
        return Guard(
            ports=ports_of(self.ports),
            networks=networks_of(self.private_networks),
            remedy="Use a public http or https address without credentials, or allow others with"
            " FACEWARDEN_BY_URL__PRIVATE_NETWORKS and FACEWARDEN_BY_URL__PORTS.",
        )


class StreamSettings(_Section):
    """Live streams (`facewarden watch`, `POST /v1/streams`)."""

    enabled: bool = Field(
        False, description="Whether the API takes streams, and `facewarden streams` watches them."
    )
    at_once: int = Field(4, ge=1, le=64, description="Most streams that one process watches.")

    ports: Ports = Field("80,443,1935", description="Comma-separated ports that may be connected to.")
    private_networks: Networks = Field(
        "",
        description="Comma-separated networks that are not public but may be watched (`10.1.0.0/16`).",
    )
    frames_per_second: float = Field(2.0, gt=0, le=25, description="Frames looked at per second of a stream.")
    window_seconds: float = Field(
        30.0, ge=10, le=600, description="A face's score is that of its frames of the last so many seconds."
    )
    alert_from: Literal["suspect", "fake"] = Field(
        "suspect", description="The least verdict on a face with which it looks fake."
    )
    alert_seconds: float = Field(
        4.0, ge=0, le=60, description="An alert is raised once a face has looked fake for this long."
    )
    calm_seconds: float = Field(
        10.0, gt=0, le=600, description="An incident ends once its face has not looked fake for this long."
    )
    clip_seconds: float = Field(
        20.0, ge=2, le=120, description="Longest clip that is kept of an alert, from its beginning."
    )
    max_delay_seconds: float = Field(
        20.0,
        gt=0,
        le=600,
        description="What waits longer is dropped, the oldest first, and counted as unseen.",
    )
    max_bandwidth: int = Field(
        8_000_000,
        gt=0,
        description="Of several qualities the middle one up to so many bits per second is watched.",
    )
    max_segment_bytes: int = Field(64 * 1000**2, gt=0, description="Larger pieces of a stream are left out.")
    max_segment_seconds: float = Field(60.0, gt=0, description="Longer pieces of a stream are refused.")
    silence_seconds: float = Field(15.0, gt=0, description="How long a server may stay silent.")
    total_seconds: float = Field(30.0, gt=0, description="How long fetching one piece may take.")
    redirects: int = Field(5, ge=0, le=20, description="Most redirects that are followed.")
    retry_seconds: float = Field(
        1.0,
        gt=0,
        description="Pause before the first reconnect; each later one is twice as long, up to 30 s.",
    )
    give_up_seconds: float = Field(
        300.0, ge=0, description="A stream that cannot be reached for this long has failed."
    )

    @property
    def guard(self) -> Guard:
        return Guard(
            schemes=STREAM_SCHEMES,
            ports=ports_of(self.ports),
            networks=networks_of(self.private_networks),
            remedy="Use a public http, https, rtmp or rtmps address without credentials, or allow others with"
            " FACEWARDEN_STREAMS__PRIVATE_NETWORKS and FACEWARDEN_STREAMS__PORTS.",
        )

    @property
    def patience(self) -> Patience:
        return Patience(silence_seconds=self.silence_seconds, total_seconds=self.total_seconds)


class ReviewSettings(_Section):
    host: str = Field("127.0.0.1", description="Address on which the review service listens.")
    port: int = Field(8080, ge=0, le=65535, description="Port on which the review service listens.")
    https: bool = Field(
        False,
        description="Whether browsers reach it only over HTTPS (behind a proxy); cookies then require it.",
    )
    proxies: str = Field(
        "",
        description="Comma-separated proxies whose `X-Forwarded-For` and `-Proto` are trusted.",
    )
    hosts: str = Field(
        "",
        description="Comma-separated names under which browsers reach it, besides loopback and `host`; "
        "`*.example.com` matches every subdomain, `*` any name (no defence against DNS rebinding).",
    )
    header_seconds: float = Field(
        20.0, gt=0, description="A connection whose request line and headers take longer is closed."
    )
    body_seconds: float = Field(
        30.0,
        gt=0,
        description="A body must keep up `body_bytes_per_second` over every interval of this length.",
    )
    body_bytes_per_second: int = Field(
        1000, ge=1, description="Slowest rate of a body; a modem is seven times as fast."
    )
    reader_seconds: float = Field(
        300.0, gt=0, description="A client that reads none of its response for this long is disconnected."
    )
    connections_per_address: int = Field(
        256, ge=1, description="Most connections open at once from one address that is not in `proxies`."
    )
    streams_per_account: int = Field(
        12, ge=1, description="Most live-update streams (open tabs) of one account at once, per process."
    )
    session_hours: float = Field(12.0, gt=0, description="A session ends after this long.")
    idle_minutes: float = Field(
        120.0, gt=0, description="A session also ends after this long without a request."
    )
    confirm_minutes: float = Field(
        5.0,
        gt=0,
        description="How long re-entering the password lets a session change accounts.",
    )
    sign_in_window_minutes: float = Field(
        15.0, gt=0, description="Failed sign-ins are counted over this long."
    )
    sign_in_failures_per_name: int = Field(
        10, ge=1, description="Failed sign-ins under one name after which it must wait."
    )
    sign_in_failures_per_address: int = Field(
        30, ge=1, description="Failed sign-ins from one address (IPv6: /64 network) after which it must wait."
    )
    claim_minutes: float = Field(
        15.0, gt=0, description="How long a video stays with the reviewer who took it."
    )
    double_review: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Fraction of videos that two reviewers see, whatever the first one decides.",
    )
    upload_bytes: int = Field(200 * 1000**2, gt=0, description="Larger uploads are refused.")
    uploads_per_minute: int = Field(
        600, ge=1, description="Most calls of `POST /v1/videos` in a minute by one account; more wait."
    )
    direct_hours: float = Field(
        12.0,
        gt=0,
        le=24 * 7,
        description="How long a direct upload may take, at most `FACEWARDEN_SWEEP__GRACE_HOURS`.",
    )
    queue_limit: int = Field(
        10_000,
        ge=1,
        description="From so many screenings that wait with one priority on, `POST /v1/videos` says to wait.",
    )
    idempotency_hours: float = Field(
        24.0, gt=0, le=24 * 31, description="How long an `Idempotency-Key` is remembered."
    )

    @property
    def address(self) -> str:
        """Where a browser on this machine finds the service."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104  compared with
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/"


class OidcSettings(_Section):
    """Sign-in at an OpenID Connect provider, beside local accounts (docs/accounts.md)."""

    issuer: str = Field(
        "", description="The provider's address, as its tokens name it (`https://…`); empty is none."
    )
    client_id: str = Field("", description="Under which the provider knows this service.")
    client_secret: SecretStr | None = Field(None, description="Its secret; unset for a public client.")
    scopes: str = Field(
        "openid profile email", description="What the provider is asked for, separated by blanks."
    )
    groups_claim: str = Field(
        "groups",
        description="Claim that lists a person's groups; `realm_access.roles` is one inside another.",
    )
    roles: dict[str, Role] = Field(
        {},
        description='Role by group, as JSON: `{"moderators": "reviewer", "leads": "admin"}`. The one that may'
        " do the most counts; who is in none of them gets no access.",
    )
    name_claim: str = Field("preferred_username", description="Claim from which a new account gets its name.")
    label: str = Field(
        "Continue with single sign-on", description="What the button on the sign-in page says."
    )
    plain_http: bool = Field(
        False, description="Whether the provider may be at `http://`, which anybody on the way can read."
    )
    private_networks: Networks = Field(
        "",
        description="Comma-separated networks that are not public but may hold the provider (`10.1.0.0/16`).",
    )
    total_seconds: float = Field(10.0, gt=0, description="How long the provider may take for one answer.")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not self.issuer:
            return self
        if not self.issuer.startswith(("https://", "http://") if self.plain_http else "https://"):
            raise ValueError("the ISSUER begins with https:// (or, with PLAIN_HTTP=true, http://)")
        if not self.client_id:
            raise ValueError("with an ISSUER set a CLIENT_ID")
        if not self.roles or Role.SERVICE in self.roles.values():
            raise ValueError("ROLES gives one group or more the role viewer, reviewer or admin")
        if "openid" not in self.scopes.split():
            raise ValueError("openid is among the SCOPES")
        return self

    @property
    def guard(self) -> Guard:
        return Guard(
            schemes=frozenset({"https", "http"} if self.plain_http else {"https"}),
            networks=networks_of(self.private_networks),
            remedy="Allow it with FACEWARDEN_OIDC__PRIVATE_NETWORKS and FACEWARDEN_OIDC__PLAIN_HTTP.",
        )


class SignsSettings(_Section):
    """Each process answers `/metrics`, `/healthz` and `/readyz` on a port of its own, where one is set."""

    host: str = Field("127.0.0.1", description="Address on which the signs of life are shown.")
    port: int | None = Field(
        None, ge=0, le=65535, description="Port on which they are shown; unset is nowhere, 0 any free one."
    )
    ports: int = Field(
        16,
        ge=1,
        le=1000,
        description="Processes of one machine take the first free one of this many ports from `port` on.",
    )
    token: SecretStr | None = Field(
        None,
        description="Bearer token that `/metrics` and the details of `/readyz` ask for, 16 characters or"
        " more.",
    )
    open: bool = Field(False, description="Whether anybody who reaches the port may read them, without one.")

    @model_validator(mode="after")
    def _asks_or_is_opened(self) -> Self:
        token = self.token.get_secret_value() if self.token else ""
        if self.token is not None and len(token) < SHORTEST_SIGNS_TOKEN:
            raise ValueError(f"its TOKEN is shorter than {SHORTEST_SIGNS_TOKEN} characters")
        if self.token is not None and not (token.isascii() and token.isprintable() and " " not in token):
            raise ValueError("its TOKEN has characters that no header can carry")
        if self.port is not None and self.token is None and not self.open:
            raise ValueError("with a PORT set a TOKEN, or OPEN=true where only you reach that port")
        return self


class RetentionSettings(_Section):
    """Days of life of originals and of pictures of faces; without any, all is kept."""

    hour: int = Field(
        4,
        ge=-1,
        le=23,
        description="Hour of the daily purge, local time; -1 leaves it to `facewarden purge`.",
    )
    originals: dict[Keeping, Annotated[int, Field(ge=0)]] = Field(
        {},
        description="Days for which files are kept, as JSON by `clear`, `flagged` (not decided), `failed`,"
        ' `fake`, `genuine`, `unsure` (decided): `{"clear": 30}`. What is not named is kept.',
    )
    faces: dict[Keeping, Annotated[int, Field(ge=0)]] = Field(
        {}, description="Days for which flagged frames, crops and overlays are kept, in the same form."
    )
    streams: int | None = Field(
        None,
        ge=0,
        description="Days for which frames and clips of live streams' alerts are kept, from the alert on.",
    )


class TracesSettings(_Section):
    """Traces of each video, from upload to verdict, sent to an OpenTelemetry collector."""

    endpoint: str | None = Field(
        None,
        pattern=r"^https?://",
        description="Where spans are sent by OTLP over HTTP, such as `http://collector:4318/v1/traces`; needs"
        " the extra `otel`. Unset: nowhere; log lines have their `trace_id` all the same.",
    )


class Settings(BaseSettings):
    """The whole configuration of one installation."""

    model_config = SettingsConfigDict(
        env_prefix="FACEWARDEN_",
        env_nested_delimiter="__",
        env_file=".env",
        extra="ignore",
        frozen=True,
    )

    # Defaults by keyword: type checkers without pydantic's plugin see no others.
    home: Path = Field(
        default=Path("facewarden-home"),
        description="Folder of the database, the objects, the logs and the embedded server.",
    )
    bucket: Annotated[Path | S3Address, NoDecode] = Field(
        default=Path("bucket"),
        description="Folder into which people drop videos and images, or `s3://bucket/prefix`.",
    )
    database_url: SecretStr | None = Field(
        default=None,
        description="SQLAlchemy URL (PostgreSQL: `postgresql+psycopg://…`); unset is SQLite in `home`.",
    )
    redis_url: SecretStr | None = Field(
        default=None, description="Redis or Valkey URL; unset is the embedded server's Unix socket in `home`."
    )
    objects: str | None = Field(
        default=None,
        description="Folder of the stored videos, frames and overlays, or `s3://bucket/prefix`; unset is in"
        " `home`.",
    )
    weights: Path = Field(default=SHIPPED_WEIGHTS, description="Checkpoint (safetensors) to screen with.")
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="Where the models run.")
    backend: Literal["auto", "fp32", "bf16", "fp16", "openvino"] = Field(
        default="auto",
        description="How the classifier runs; auto is bf16 on CUDA and the fastest on a CPU.",
    )
    batch_size: int = Field(default=16, ge=1, description="Face crops per call of the classifier.")
    log_format: Literal["auto", "console", "json"] = Field(
        default="auto",
        description="Log lines for people or for machines; auto is console on a terminal, else json.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Lowest level that is logged."
    )

    ingest: IngestSettings = Field(default_factory=IngestSettings)
    decode: DecodeSettings = Field(default_factory=DecodeSettings)
    provenance: ProvenanceSettings = Field(default_factory=ProvenanceSettings)
    sampling: SamplingSettings = Field(default_factory=SamplingSettings)
    detection: DetectionSettings = Field(default_factory=DetectionSettings)
    quality: QualitySettings = Field(default_factory=QualitySettings)
    tracks: TrackSettings = Field(default_factory=TrackSettings)
    scoring: ScoringSettings = Field(default_factory=ScoringSettings)
    lime: LimeSettings = Field(default_factory=LimeSettings)
    worker: WorkerSettings = Field(default_factory=WorkerSettings)
    shadow: ShadowSettings = Field(default_factory=ShadowSettings)
    shares: SharesSettings = Field(default_factory=SharesSettings)
    sweep: SweepSettings = Field(default_factory=SweepSettings)
    review: ReviewSettings = Field(default_factory=ReviewSettings)
    oidc: OidcSettings = Field(default_factory=OidcSettings)
    known: KnownSettings = Field(default_factory=KnownSettings)
    by_url: ByUrlSettings = Field(default_factory=ByUrlSettings)
    streams: StreamSettings = Field(default_factory=StreamSettings)
    webhooks: WebhookSettings = Field(default_factory=WebhookSettings)
    s3: S3Settings = Field(default_factory=S3Settings)
    s3_source: S3SourceSettings = Field(default_factory=S3SourceSettings)
    signs: SignsSettings = Field(default_factory=SignsSettings)
    retention: RetentionSettings = Field(default_factory=RetentionSettings)
    traces: TracesSettings = Field(default_factory=TracesSettings)

    @field_validator("bucket", mode="before")
    @classmethod
    def _a_folder_or_an_address(cls, given: object) -> object:
        return S3Address.parse(given) if isinstance(given, str) and "://" in given else given

    @field_validator("objects", mode="before")
    @classmethod
    def _a_folder_or_bucket(cls, given: object) -> object:
        if isinstance(given, Path):
            return str(given)
        if isinstance(given, str) and "://" in given:
            S3Address.parse(given)
        return given

    @model_validator(mode="after")
    def _the_store_is_no_source(self) -> Self:
        if isinstance(self.bucket, S3Address) and self.objects_bucket is not None:
            self.bucket.keep_apart(self.objects_bucket)
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The usual ones; the environment's with what is in the files that it names."""
        del settings_cls, file_secret_settings
        if isinstance(env_settings, EnvSettingsSource):
            env_settings.env_vars = resolved(env_settings.env_vars, env_settings.env_prefix.lower())
        return init_settings, env_settings, dotenv_settings

    @classmethod
    def read(cls) -> Self:
        """The settings of this process's environment. Raises SettingsError."""
        try:
            return cls()
        except ValidationError as error:
            first = error.errors()[0]
            name = "FACEWARDEN_" + "__".join(str(part) for part in first["loc"]).upper()
            raise SettingsError(setting=name, reason=first["msg"]) from error

    @property
    def sql_url(self) -> str:
        """The database URL that is in force, secret included."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{(self.home / 'facewarden.sqlite3').resolve()}"

    @property
    def queue_url(self) -> str:
        """The Redis URL that is in force, secret included."""
        if self.redis_url is not None:
            return self.redis_url.get_secret_value()
        return f"unix://{self.socket_path}"

    @property
    def bucket_name(self) -> str:
        """The watched folder or address, for people."""
        return str(self.bucket if isinstance(self.bucket, S3Address) else self.bucket_folder)

    @property
    def bucket_folder(self) -> Path:
        """The watched folder. Raises SettingsError where the bucket is in S3."""
        if isinstance(self.bucket, S3Address):
            raise SettingsError(setting="FACEWARDEN_BUCKET", reason="this takes a folder, not a bucket in S3")
        return self.bucket.resolve()

    @property
    def objects_bucket(self) -> S3Address | None:
        """Where objects are in S3; None where they are in a folder."""
        return S3Address.parse(self.objects) if self.objects and "://" in self.objects else None

    @property
    def objects_folder(self) -> Path:
        """Where objects are if they are in a folder."""
        return Path(self.objects or self.home / "objects").resolve()

    @property
    def scratch_folder(self) -> Path:
        return (self.s3.scratch or self.home / "scratch").resolve()

    @cached_property
    def socket_path(self) -> Path:
        """Unix socket of the embedded server: only this user can open it, no port listens."""
        path = self.home.resolve() / "valkey.sock"
        if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
            return path
        digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"facewarden-{os.getuid()}-{digest}" / "valkey.sock"
