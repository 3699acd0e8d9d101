"""Which way of running a model is the fastest on this machine: measured at the first start, then remembered.

A choice is kept in a file of its own, named after everything that it depends on: the processor, its cores,
the releases of the libraries, and the model. All that are offered agree within the tolerance of their model,
so a busy moment can make a worker slower, but no verdict different.
"""

import hashlib
import json
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog
import torch

from models.openvino_runtime import openvino
from models.whole_file import whole

log = structlog.get_logger()

CLEARLY = 0.8  # of the first one's time: what another must stay below, so that noise decides nothing
ROUNDS = 2  # of which the faster counts


@dataclass(frozen=True, kw_only=True)
class Choice:
    model: str  # what was measured
    chosen: str
    milliseconds: dict[str, float]  # of each that was offered, for the same work


class Choices:
    """Those of one machine."""

    def __init__(self, folder: Path, *, cpuinfo: Path = Path("/proc/cpuinfo")) -> None:
        """`folder`: created when the first one is kept."""
        self._folder, self._machine = folder, _machine(cpuinfo)

    def known(self, model: str) -> Choice | None:
        """What was chosen for `model` at an earlier start here."""
        return _read(self._path(model))

    def choose(self, model: str, offered: Mapping[str, Callable[[], object]]) -> Choice:
        """Measure what is `offered`, the usual one first, each already warm; keep the fastest.

        Another than the usual one is taken only if it is clearly faster.
        """
        spent = {name: 1000 * min(_seconds(call) for _ in range(ROUNDS)) for name, call in offered.items()}
        usual, fastest = next(iter(spent)), min(spent, key=lambda name: spent[name])
        chosen = fastest if spent[fastest] < CLEARLY * spent[usual] else usual
        rounded = {name: round(each, 2) for name, each in spent.items()}
        choice = Choice(model=model, chosen=chosen, milliseconds=rounded)
        path = self._path(model)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole(path) as partial:
                partial.write_text(json.dumps(asdict(choice)) + "\n")
        except OSError as error:  # the next start measures again
            log.warning("choice not kept", path=str(path), reason=str(error))
        return choice

    def _path(self, model: str) -> Path:
        return self._folder / f"chosen-{_digest(self._machine)}-{_digest(model)}.json"

    def all(self) -> Iterator[Choice]:
        """All that were made on this machine with these libraries."""
        for path in sorted(self._folder.glob(f"chosen-{_digest(self._machine)}-*.json")):
            choice = _read(path)
            if choice is not None:
                yield choice


def _read(path: Path) -> Choice | None:
    """None where there is none, or where it is damaged and will be measured again."""
    try:
        kept = json.loads(path.read_text())
        return Choice(
            model=str(kept["model"]),
            chosen=str(kept["chosen"]),
            milliseconds={str(name): float(each) for name, each in kept["milliseconds"].items()},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _machine(cpuinfo: Path) -> str:
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        lines = []
    processor = sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))})
    cores = len(os.sched_getaffinity(0))
    return "|".join([platform.machine(), str(cores), torch.__version__, openvino.__version__, *processor])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _seconds(call: Callable[[], object]) -> float:
    since = time.perf_counter()
    call()
    return time.perf_counter() - since
