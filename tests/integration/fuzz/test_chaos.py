"""The whole system on several processes and servers, each killed once: small, with a quick network."""

from pathlib import Path

import pytest

from fuzz.chaos.__main__ import QUICK, rampage


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_video_is_lost_or_screened_twice_while_everything_is_killed_once(
    tmp_path: Path, checkpoint: Path, face_clip: Path
) -> None:
    film = face_clip.read_bytes()
    found = rampage(
        tmp_path,
        {"genuine": film, "swapped": film},
        videos=6,
        seed=1,
        crew={"ingest": 1, "screen": 1, "explain": 1},
        spared=["explain-0"],  # each start of a worker costs much; `make chaos` kills this one too
        more=QUICK
        | {
            "FACEWARDEN_WEIGHTS": str(checkpoint),
            "FACEWARDEN_BACKEND": "fp32",
            "FACEWARDEN_SAMPLING__MAX_FRAMES": "2",
            "FACEWARDEN_SAMPLING__MIN_FRAMES": "2",
        },
    )
    assert found.faults == []
    assert sum(found.verdicts.values()) == 6
