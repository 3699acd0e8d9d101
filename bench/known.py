"""Known content, measured: `python -m bench.known [--hashes 1000000] [--clips 24] [--data FOLDER]`.

- How long the index takes to answer among a million hashes: one frame, a video of 48 frames (each of them and
  its mirror image), reading the table, beside comparing everything. Once with random hashes, and once with
  hashes in crowds of 50 that differ in few bits, which share more parts.
- Of the clips in FOLDER (by default that of FACEWARDEN_DATA), changed in the ways in which copies are, how
  many are recognised. Four seconds of each at eight frames a second; a copy's frames are sampled in between
  the original's.
- How many pairs of clips that show different things count as the same.
"""

import argparse
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from sqlalchemy import insert

from bench import bench_console
from core.known import HASH_BYTES, FrameHash, Match
from core.settings import KnownSettings
from evaluation.camera import encode
from models.datasets import layouts
from models.face import Image
from storage.engine import connect, reading, transaction
from storage.known import matching
from storage.known.index import HashIndex
from storage.migrate import upgrade
from storage.tables import FrameHashRow, KnownList
from worker.screening.frame_hashes import FrameHashes, hash_frame

SETTINGS = KnownSettings()
RATE, SECONDS, WIDTH = 8, 4, 480  # of the clips that are changed
SAMPLED = 4  # every so many of their frames are hashed
LONGEST_SECONDS = 60  # of each clip, when pairs are compared
CROWD, CROWD_BITS = 50, 20
QUERIES = 48
ROUNDS = 5

Frames = list[Image]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--hashes", type=int, default=1_000_000)
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--data", type=Path, default=os.environ.get("FACEWARDEN_DATA"))
    given = parser.parse_args()
    console = bench_console()
    _print_hashing(console)
    _print_index(console, given.hashes)
    if given.data is None:
        console.print("no clips: name their folder with --data or FACEWARDEN_DATA")
        return
    clips = _clips(Path(given.data))
    _print_recall(console, clips[: given.clips])
    _print_false_matches(console, clips)


def _print_hashing(console: Console) -> None:
    table = Table("frame", "ms of CPU per hash")
    for width, height in ((640, 360), (1280, 720), (1920, 1080)):
        picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
        table.add_row(f"{width}x{height}", f"{1000 * _timed(partial(hash_frame, picture, 0.0), 20):.1f}")
    console.print(table)


def _print_index(console: Console, number: int) -> None:
    table = Table("hashes", "one frame", "48 frames and mirrors", "one frame, all compared", "building")
    rng = np.random.default_rng(1)
    for name, made in (("random", _random(rng, number)), ("in crowds", _crowds(rng, number))):
        index = HashIndex()
        since = time.process_time()
        index.add(np.arange(1, number + 1), made.ravel())
        built = time.process_time() - since
        queries = [made[place].tobytes() for place in rng.integers(0, number, 2 * QUERIES)]
        words = made.view(np.uint64)
        one = _timed(partial(index.search, queries[:1], SETTINGS.distance), ROUNDS * 9)
        video = _timed(partial(index.search, queries, SETTINGS.distance), ROUNDS)
        everything = _timed(partial(_all_compared, words, queries[0]), ROUNDS)
        table.add_row(
            f"{number:,}, {name}",
            f"{1000 * one:.2f} ms",
            f"{1000 * video:.0f} ms",
            f"{1000 * everything:.0f} ms",
            f"{built:.1f} s",
        )
    console.print(table)
    console.print(f"reading {number:,} rows of SQLite into the index: {_reading(made):.1f} s of CPU")


def _all_compared(words: NDArray[np.uint64], query: bytes) -> None:
    bits = np.bitwise_count(words ^ np.frombuffer(query, np.uint64)).sum(axis=1, dtype=np.int64)
    np.flatnonzero(bits <= SETTINGS.distance)


def _reading(made: NDArray[np.uint8]) -> float:
    """Seconds of CPU to follow a table that holds these hashes."""
    with tempfile.TemporaryDirectory() as folder:
        engine = connect(f"sqlite:///{folder}/known.sqlite3")
        upgrade(engine)
        with transaction(engine) as session:
            session.execute(insert(KnownList), [{"id": 1, "name": "made"}])
            for part in np.array_split(made, max(1, len(made) // 20_000)):
                rows = [{"list_id": 1, "pdq": each.tobytes(), "quality": 100} for each in part]
                session.execute(insert(FrameHashRow), rows)
        index = HashIndex()
        since = time.process_time()
        with reading(engine) as session:
            index.follow(session)
        engine.dispose()
        return time.process_time() - since


def _random(rng: np.random.Generator, number: int) -> NDArray[np.uint8]:
    return rng.integers(0, 256, (number, HASH_BYTES), dtype=np.uint8)


def _crowds(rng: np.random.Generator, number: int) -> NDArray[np.uint8]:
    made = np.repeat(_random(rng, -(-number // CROWD)), CROWD, axis=0)[:number]
    for _ in range(CROWD_BITS):
        place, bit = rng.integers(0, HASH_BYTES, number), rng.integers(0, 8, number)
        made[np.arange(number), place] ^= (1 << bit).astype(np.uint8)
    return made


def _timed(work: Callable[[], object], rounds: int) -> float:
    """The median of the seconds of CPU that it takes."""
    taken = []
    for _ in range(rounds):
        since = time.process_time()
        work()
        taken.append(time.process_time() - since)
    return statistics.median(taken)


def _clips(data: Path) -> list[tuple[str, Path]]:
    """What each clip shows (its group), and the clip; genuine ones first."""
    listed = layouts.manifest(data / "manipulated") or []
    found = [(each.fake, each.group, each.path) for each in listed if each.is_video]
    found += [(False, path.stem, path) for path in sorted((data / "videos").glob("*.mp4"))]
    return [(group, path) for _, group, path in sorted(found, key=lambda one: one[0])]


def _frames(path: Path, *, rate: float, seconds: float, width: int) -> Frames:
    """About so many frames a second, no wider than `width`."""
    frames: Frames = []
    with av.open(str(path)) as container:
        stream: Any = container.streams.video[0]
        for frame in container.decode(stream):
            moment = frame.time or 0.0
            if moment > seconds:
                break
            if moment + 1e-6 < len(frames) / rate:
                continue
            scale = min(1.0, width / frame.width)
            size = {
                "width": round(frame.width * scale / 2) * 2,
                "height": round(frame.height * scale / 2) * 2,
            }
            frames.append(frame.reformat(**size, format="rgb24").to_ndarray())
    return frames


def _hashes(frames: Iterable[Image]) -> list[FrameHash]:
    kept = FrameHashes(SETTINGS)
    for number, frame in enumerate(frames):
        kept.add(frame, number / RATE)
    return list(kept.kept)


def _scaled(factor: float) -> Callable[[Frames], Frames]:
    return lambda frames: [
        np.asarray(cv2.resize(each, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)
        for each in frames
    ]


def _cropped(part: float) -> Callable[[Frames], Frames]:
    """So much of the width and of the height is cut off, half of it on either side."""

    def crop(frames: Frames) -> Frames:
        height, width = frames[0].shape[:2]
        y, x = round(height * part / 2), round(width * part / 2)
        return [np.ascontiguousarray(each[y : height - y, x : width - x]) for each in frames]

    return crop


def _with_logo(frames: Frames) -> Frames:
    made = []
    for each in frames:
        copy = each.copy()
        height, width = copy.shape[:2]
        copy[height // 20 : height // 20 + height // 8, -width // 5 : -width // 20] = (250, 250, 250)
        cv2.putText(copy, "NEWS", (width - width // 5, height // 6), 0, width / 640, (200, 0, 0), 2)
        made.append(copy)
    return made


def _letterboxed(frames: Frames) -> Frames:
    bar = frames[0].shape[0] // 8
    return [cv2.copyMakeBorder(each, bar, bar, 0, 0, cv2.BORDER_CONSTANT) for each in frames]  # type: ignore[misc]


def _brighter(frames: Frames) -> Frames:
    return [np.clip(each.astype(np.float32) * 1.25 + 10, 0, 255).astype(np.uint8) for each in frames]


CHANGES: dict[str, tuple[Callable[[Frames], Frames], int]] = {  # the change, the quality of H.264
    "coded anew, CRF 23": (lambda frames: frames, 23),
    "coded anew, CRF 35": (lambda frames: frames, 35),
    "half the size": (_scaled(0.5), 23),
    "cropped by 5%": (_cropped(0.05), 23),
    "cropped by 10%": (_cropped(0.10), 23),
    "cropped by 20%": (_cropped(0.20), 23),
    "a logo": (_with_logo, 23),
    "mirrored": (lambda frames: [np.ascontiguousarray(each[:, ::-1]) for each in frames], 23),
    "its second half": (lambda frames: frames[len(frames) // 2 :], 23),
    "letterboxed, bars of 1/8": (_letterboxed, 23),
    "a quarter faster": (lambda frames: [each for n, each in enumerate(frames) if n % 5 != 4], 23),
    "brighter by a quarter": (_brighter, 23),
}


def _print_recall(console: Console, clips: list[tuple[str, Path]]) -> None:
    table = Table("change", "recognised", "distance, median", "share of frames, median")
    originals = [_frames(path, rate=RATE, seconds=SECONDS, width=WIDTH) for _, path in clips]
    originals = [frames for frames in originals if len(frames) > 2 * SAMPLED]
    known = [_hashes(frames[::SAMPLED]) for frames in originals]
    told = [(frames, hashes) for frames, hashes in zip(originals, known, strict=True) if hashes]
    for name, (change, crf) in CHANGES.items():
        found = [_recognised(change(frames), crf, hashes) for frames, hashes in told]
        matches = [match for match in found if match is not None]
        table.add_row(
            name,
            f"{len(matches)} of {len(found)}",
            f"{statistics.median([match.distance for match in matches]):.0f}" if matches else "-",
            f"{statistics.median([match.share for match in matches]):.2f}" if matches else "-",
        )
    console.print(table)


def _recognised(frames: Frames, crf: int, known: list[FrameHash]) -> Match | None:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.mp4"
        encode(copy, frames, rate=RATE, crf=crf)
        seen = _frames(copy, rate=RATE, seconds=SECONDS, width=10_000)
    hashes = _hashes(seen[SAMPLED // 2 :: SAMPLED])
    return matching.compare(hashes, known, 1, SETTINGS) if hashes else None


def _print_false_matches(console: Console, clips: list[tuple[str, Path]]) -> None:
    """Pairs of all clips, sampled twice a second."""
    hashed = [
        (group, path.name, _hashes(_frames(path, rate=2, seconds=LONGEST_SECONDS, width=WIDTH)))
        for group, path in clips
    ]
    told = [each for each in hashed if each[2]]
    same, different = [0, 0], [0, 0]  # matches, pairs
    named = []
    for one, other in itertools.combinations(told, 2):
        match = matching.compare(one[2], other[2], 1, SETTINGS)
        counted = same if one[0] == other[0] else different
        counted[0] += match is not None
        counted[1] += 1
        if match is not None and counted is different:
            named.append(f"{one[1]} and {other[1]}: distance {match.distance}, share {match.share:.2f}")
    console.print(f"{len(told)} of {len(hashed)} clips have hashes")
    console.print(f"pairs of different groups: {different[0]} of {different[1]} match", *named, sep="\n  ")
    console.print(
        f"pairs of one group (a genuine clip and its fakes among them): {same[0]} of {same[1]} match"
    )


if __name__ == "__main__":
    main()
