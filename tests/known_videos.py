"""Videos that look alike, where a test is not about how they are hashed."""

from collections.abc import Sequence

import numpy as np
from sqlalchemy import Engine

from core.known import HASH_BYTES, FrameHash
from core.outcomes import MediaKind, Verdict
from core.settings import KnownSettings
from storage import screenings, videos
from storage.engine import reading, transaction
from storage.known import hashes, matching
from storage.known.index import HashIndex
from storage.results import complete
from storage.videos import Seen
from tests.screening_results import screening_result

SETTINGS = KnownSettings()


def scene(number: int, *, changed: int = 0) -> FrameHash:
    """A frame of a scene of its own, with so many bits changed by wear."""
    pdq, mirrored = np.random.default_rng(number).integers(0, 256, (2, HASH_BYTES), dtype=np.uint8)
    bits = np.unpackbits(pdq)
    bits[:changed] ^= 1
    return FrameHash(
        time_seconds=float(number), pdq=np.packbits(bits).tobytes(), mirrored=mirrored.tobytes(), quality=90
    )


def scenes(*numbers: int, changed: int = 0) -> list[FrameHash]:
    return [scene(number, changed=changed) for number in numbers]


def screened(engine: Engine, index: HashIndex, number: int, found: Sequence[FrameHash]) -> None:
    """A video of that number, screened as a worker does it."""
    with transaction(engine) as session:
        videos.add(
            session,
            sha256=f"{number:064x}",
            size_bytes=1,
            media_kind=MediaKind.VIDEO,
            object_key="k",
        )
        seen = Seen(source="s", name=f"{number}.mp4", size_bytes=1, mtime_ns=number)
        videos.sight(session, seen, video_id=number)
        ticket = screenings.request(session, video_id=number, model_version_id="m-1")
        assert ticket is not None
        claimed = screenings.LEASES.claim(session, ticket, owner="w", lease_seconds=60)
        assert claimed is not None
    with transaction(engine) as session:
        hashes.keep(session, number, found)
    with reading(engine) as session:
        matches = matching.find(session, index, number, found, SETTINGS)
    with transaction(engine) as session:
        complete(session, claimed, screening_result(Verdict.CLEAR, 0.2), matches)
