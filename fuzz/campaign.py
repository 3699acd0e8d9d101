"""Giving files to screeners, watching these, and counting."""

import contextlib
import json
import random
import select
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from fuzz.canary import Canary
from fuzz.hostile import Trap, hostile_files
from fuzz.mutations import spliced, spoiled
from fuzz.seeds import Seed

COMMAND = (sys.executable, "-m", "fuzz.screener")
START_SECONDS = 300.0  # for a screener to load its models
HANG_SECONDS = 120.0  # no answer to a file of a few MB for this long
MOST_BYTES = int(
    2.5 * 1024**3
)  # resident, of a screener and its decoder; what `make bench` allows an hour's video
SPLICED_SHARE = 0.1


@dataclass(frozen=True, kw_only=True)
class Hostile:
    """One file of a campaign."""

    number: int
    name: str
    origin: str  # how it was made
    content: bytes


@dataclass(kw_only=True)
class Tally:
    """What a campaign counts. The last six have to be zero."""

    files: int = 0
    typed_errors: Counter[str] = field(default_factory=Counter)  # by code
    verdicts: Counter[str] = field(default_factory=Counter)
    peak_bytes: int = 0
    seconds: dict[str, float] = field(default_factory=dict)  # that each file took, by number and name
    deaths: list[str] = field(default_factory=list)
    hangs: list[str] = field(default_factory=list)
    untyped: list[str] = field(default_factory=list)
    oversized: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    touches: list[str] = field(default_factory=list)

    @property
    def faults(self) -> dict[str, list[str]]:
        return {
            "worker deaths": self.deaths,
            "hangs": self.hangs,
            "untyped errors": self.untyped,
            "over the memory limit": self.oversized,
            "leaked children or shared memory": self.leaks,
            "foreign files or addresses opened": self.touches,
        }

    def line(self) -> str:
        """The campaign in one line."""
        faults = ", ".join(f"{len(found)} {what}" for what, found in self.faults.items())
        peak, limit = (count / 1024**2 for count in (self.peak_bytes, MOST_BYTES))
        return (
            f"fuzz: {self.files} files, {self.typed_errors.total()} typed errors, "
            f"{self.verdicts.total()} verdicts; {faults} (peak {peak:.0f} MiB of {limit:.0f})"
        )


def hostile_campaign(seeds: Sequence[Seed], canary: Canary, *, files: int, seed: int) -> Iterator[Hostile]:
    """The first `files` of: every file made to harm, every seed as it is, then spoiled seeds without end.

    A short campaign draws from the first two, so that it sees some of each kind.
    """
    rng = random.Random(seed)
    by_name = {each.name: each.content for each in seeds}
    made = [(name, "made to harm", content) for name, content in hostile_files(Trap.of(canary), by_name)]
    made += [(each.name, "a seed as it is", each.content) for each in seeds]
    if files < 2 * len(made):
        made = rng.sample(made, files // 2)
    for number in range(files):
        name, origin, content = made[number] if number < len(made) else _spoiled(seeds, rng)
        yield Hostile(number=number, name=name, origin=origin, content=content)


def _spoiled(seeds: Sequence[Seed], rng: random.Random) -> tuple[str, str, bytes]:
    seed = rng.choice(seeds)
    if rng.random() < SPLICED_SHARE:
        other = rng.choice(seeds)
        return seed.name, f"spliced with {other.name}", spliced(seed.content, other.content, rng)
    content, how = spoiled(seed.content, rng)
    return seed.name, how, content


class Campaign:
    """Screens hostile files; those that do harm are kept in `folder`/faults."""

    def __init__(
        self,
        folder: Path,
        canary: Canary,
        *,
        command: Sequence[str] = COMMAND,
        hang_seconds: float = HANG_SECONDS,
    ) -> None:
        self._folder, self._canary = folder, canary
        self._command, self._hang_seconds = command, hang_seconds
        self.tally = Tally()

    def run(self, files: Iterator[Hostile], *, screeners: int) -> Tally:
        with ThreadPoolExecutor(screeners) as pool:
            queue = _Shared(files)
            for finished in [pool.submit(self._work, queue, number) for number in range(screeners)]:
                finished.result()
        self._note_touches("after the last file")
        return self.tally

    def _work(self, queue: "_Shared", number: int) -> None:
        place = self._folder / f"screener{number}"
        place.mkdir(parents=True, exist_ok=True)
        screener: _Screener | None = None
        try:
            for hostile in queue:
                screener = screener or _Screener(self._command, self._folder / "home")
                if not self._screen(screener, hostile, place):
                    screener.end()
                    screener = None
        finally:
            if screener is not None:
                screener.end()

    def _screen(self, screener: "_Screener", hostile: Hostile, place: Path) -> bool:
        """Whether the screener lives on."""
        path = place / hostile.name
        path.write_bytes(hostile.content)
        since = time.monotonic()
        answer = screener.ask(path, self._hang_seconds)
        self.tally.seconds[f"{hostile.number} {hostile.name!r}"] = round(time.monotonic() - since, 2)
        path.unlink()
        self.tally.files += 1
        self._count(hostile, answer, screener.peak_bytes)
        return "died" not in answer and "hung" not in answer

    def _count(self, hostile: Hostile, answer: dict[str, Any], peak_bytes: int) -> None:
        tally = self.tally
        tally.peak_bytes = max(tally.peak_bytes, peak_bytes)
        if "verdict" in answer:
            tally.verdicts[answer["verdict"]] += 1
        elif "error" in answer:
            tally.typed_errors[answer["error"].split(":", 1)[0]] += 1
        for kind, found in (("died", tally.deaths), ("hung", tally.hangs), ("untyped", tally.untyped)):
            if kind in answer:
                self._note(found, hostile, answer[kind])
        if answer.get("leaked"):
            self._note(tally.leaks, hostile, ", ".join(answer["leaked"]))
        if peak_bytes > MOST_BYTES:
            self._note(tally.oversized, hostile, f"{peak_bytes} bytes")
        self._note_touches(hostile.name, hostile)

    def _note_touches(self, when: str, hostile: Hostile | None = None) -> None:
        touches = self._canary.touches()
        if not touches:
            return
        if hostile is None:
            self.tally.touches.append(f"{when}: {touches} touches")
        else:  # with two screeners it may have been the other's file: that is found by running one alone
            self._note(self.tally.touches, hostile, f"{touches} touches")

    def _note(self, faults: list[str], hostile: Hostile, what: str) -> None:
        faults.append(f"{hostile.number} {hostile.name!r} ({hostile.origin}): {what}")
        kept = self._folder / "faults"
        kept.mkdir(exist_ok=True)
        (kept / f"{hostile.number}-{hostile.name}").write_bytes(hostile.content)


class _Shared:
    """One iterator for several threads."""

    def __init__(self, files: Iterator[Hostile]) -> None:
        self._files, self._lock = files, threading.Lock()

    def __iter__(self) -> Iterator[Hostile]:
        while True:
            with self._lock:
                following = next(self._files, None)
            if following is None:
                return
            yield following


class _Screener:
    """A screener process and how much memory it and its decoder have held."""

    def __init__(self, command: Sequence[str], home: Path) -> None:
        self.peak_bytes = 0  # during the latest question
        self._unread = b""
        self._process = subprocess.Popen(  # noqa: S603  our own command
            [*command, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        answer = self._answer(START_SECONDS)
        if not answer.get("ready"):
            raise RuntimeError(f"no screener could be started: {answer}")

    def ask(self, path: Path, patience_seconds: float) -> dict[str, Any]:
        self.peak_bytes = 0
        if self._process.stdin is not None:
            try:
                self._process.stdin.write(json.dumps(str(path)).encode() + b"\n")
            except BrokenPipeError:
                return {"died": f"exit code {self._process.wait()}"}
        return self._answer(patience_seconds)

    def end(self) -> None:
        """Kill it with all that it started."""
        children: list[psutil.Process] = []
        with contextlib.suppress(psutil.NoSuchProcess):
            children = psutil.Process(self._process.pid).children(recursive=True)
        self._process.kill()
        self._process.wait()
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _answer(self, patience_seconds: float) -> dict[str, Any]:
        deadline = time.monotonic() + patience_seconds
        while b"\n" not in self._unread:
            if time.monotonic() > deadline:
                return {"hung": f"no answer for {patience_seconds:g} s"}
            self._weigh()
            if self._process.stdout is None or not select.select([self._process.stdout], [], [], 0.02)[0]:
                continue
            piece = self._process.stdout.read(65536)
            if not piece:
                return {"died": f"exit code {self._process.wait()}"}
            self._unread += piece
        line, _, self._unread = self._unread.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _weigh(self) -> None:
        try:
            own = psutil.Process(self._process.pid)
            # One that was forked and is about to become the decoder still shares its parent's memory.
            others = (child for child in own.children(recursive=True) if child.cmdline() != own.cmdline())
            held = own.memory_info().rss + sum(child.memory_info().rss for child in others)
        except psutil.NoSuchProcess:
            return
        self.peak_bytes = max(self.peak_bytes, held)
