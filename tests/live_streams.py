"""A live stream as a worker would leave it: watched for a minute, with an alert, its frames and a clip."""

from io import BytesIO
from math import sin

from PIL import Image
from sqlalchemy import Engine

from core.outgoing import Guard
from core.streams import Point, StreamNow, TrackNow
from storage.engine import transaction
from storage.objects.store import ObjectStore
from storage.streams import leases, requests
from storage.streams.alerts import Raised, StoredFrame
from storage.streams.leases import WatchClaim

URL = "https://example.com/live.m3u8?key=secret"


def picture(kind: str, size: tuple[int, int] = (64, 48)) -> bytes:
    coded = BytesIO()
    Image.new("RGB", size, (120, 90, 60)).save(coded, kind)
    return coded.getvalue()


def asked(engine: Engine, *, url: str = URL, name: str | None = None) -> int:
    """Its number."""
    with transaction(engine) as session:
        return requests.add(session, url=url, name=name, guard=Guard(), actor="ada").id


def watched(
    engine: Engine, objects: ObjectStore, stream_id: int, *, clip: bytes, image: bytes | None = None
) -> WatchClaim:
    """A worker has it, and has told of one face."""
    frame = StoredFrame(
        time_seconds=21.0,
        score=0.97,
        box=(10, 10, 30, 30),
        frame_size=(64, 48),
        image_key=objects.put_bytes(image or picture("JPEG"), ".jpg"),
        crop_key=objects.put_bytes(picture("PNG"), ".png"),
    )
    alert = Raised(
        track=0,
        start_seconds=20,
        end_seconds=40,
        raised_seconds=24.5,
        peak_score=0.96,
        over=True,
        frames=[frame],
        clip_key=objects.put_bytes(clip, ".mp4"),
    )
    with transaction(engine) as session:
        claims = leases.claim(session, owner="worker", lease_seconds=3600, most=100)
        claim = next(each for each in claims if each.stream_id == stream_id)
    report(engine, claim, alert)
    return claim


def report(engine: Engine, claim: WatchClaim, *told: Raised, position: float = 60.0) -> None:
    points = [
        Point(seconds=float(at), score=0.5 + 0.45 * sin(at / 12 - 1.5), unseen=30 <= at < 36)
        for at in range(0, round(position), 2)
    ]
    now = StreamNow(
        state="live",
        coverage=0.9,
        delay_seconds=1.0,
        reconnects=1,
        frames=100,
        verdict="fake",
        tracks=[
            TrackNow(number=0, start_seconds=0, end_seconds=60, score=0.93, supported=True, peak_score=0.96),
            TrackNow(number=1, start_seconds=58, end_seconds=60, score=0.2, supported=False, peak_score=0.0),
        ],
        points=points,
    )
    with transaction(engine) as session:
        leases.report(
            session,
            claim,
            now,
            position_seconds=position,
            seen_seconds=0.9 * position,
            model_version="m1",
            lease_seconds=3600,
            told=told,
        )
