"""The process that screens what it is told to, as a worker does: `python -m fuzz.screener HOME`.

It reads one path a line and answers with one JSON object a line: what `facewarden screen --json` would have
said, cut down, and what the file left behind.
"""

import json
import sys
import traceback
from pathlib import Path
from typing import Any

import psutil

from cli.screening import screen_one
from core.logs import configure
from core.settings import Settings
from worker.screening.loading import load_pipeline
from worker.screening.pipeline import Pipeline

# The decoder reports what it raised without meaning to. Its reader makes a typed error of it, and yet it is
# a fault of ours.
CRASHED = "it crashed ("


def main() -> None:
    settings = Settings(home=Path(sys.argv[1]), device="cpu", log_level="error", _env_file=None)
    configure(settings)
    pipeline = load_pipeline(settings)
    own = psutil.Process()
    before = _held(own)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        answer = screened(pipeline, Path(json.loads(line)))
        after = _held(own)
        answer["leaked"] = sorted(after - before)
        before = after  # counted once, where it came from
        print(json.dumps(answer), flush=True)


def screened(pipeline: Pipeline, path: Path) -> dict[str, Any]:
    """The verdict, or the code of the typed error, or the traceback of what nobody meant to raise."""
    try:
        row = screen_one(pipeline, path, None)
    except Exception:
        return {"untyped": traceback.format_exc()}
    error = row["error"]
    if error is None:
        return {"verdict": row["verdict"]}
    return {"untyped" if CRASHED in error["message"] else "error": f"{error['code']}: {error['message']}"}


def _held(process: psutil.Process) -> set[str]:
    """Children, and what this process's descriptors point to: files, pipes, memory without a name."""
    held = {f"process {child.pid}" for child in process.children(recursive=True)}
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            target = str(descriptor.readlink())
        except OSError:  # the one that listed them
            continue
        if "memfd" in target or target.startswith("pipe:"):
            held.add(f"{target} at {descriptor.name}")
    mapped = (line for line in Path("/proc/self/maps").read_text().splitlines() if "memfd:" in line)
    return held | {f"mapping {line.split()[0]}" for line in mapped}


if __name__ == "__main__":
    main()
