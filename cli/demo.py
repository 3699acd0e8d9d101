"""`facewarden demo`: two clips made on the spot, screened by the whole system.

Both show one public-domain photograph (NASA's astronaut Eileen Collins, from scikit-image) under a moving
camera; in the second, the project's own blending gives her the face of Grace Hopper (US Navy, from
matplotlib). Neither photograph is ever trained on.
"""

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from matplotlib.cbook import get_sample_data
from PIL import Image as Pillow
from rich.console import Console
from skimage.data import astronaut

from cli.results import print_results
from cli.up.supervisor import THIS, die_with_parent
from core.errors import FacewardenError
from core.outcomes import FLAGGED, Verdict
from core.settings import DetectionSettings, Settings
from evaluation.camera import encode, grainy, view
from models.detector import FaceDetector
from models.face import Face, Image
from models.synthesis.blending import swap_face
from storage.engine import connect, transaction
from storage.objects.choice import open_store
from storage.queue.filters import Filters
from storage.read import detail, workload
from storage.read.detail import ScreeningDetail

SECONDS, RATE = 5, 25
WIDTH, HEIGHT = 960, 720
DECODER_PIXELS = 48
# Without progress (a screening, an explanation, a lease that a busy worker renews): a demo that gets on is
# not stopped, however slow the machine is.
LONGEST_STANDSTILL_SECONDS = 600.0
LOOK_SECONDS = 1.0

# A demo never touches the installation's own queue, database and objects.
EMBEDDED = {"redis_url": None, "database_url": None, "objects": None}
NOT_EMBEDDED = {f"FACEWARDEN_{name.upper()}" for name in EMBEDDED}


def run_demo(settings: Settings, folder: Path) -> bool:
    """Run it in a new folder below `folder`; True if the swapped clip is flagged and explained, and the
    other one clear.
    """
    console = Console()
    folder.mkdir(parents=True, exist_ok=True)
    # A folder of its own for each run: results of an earlier one must not pass for this one's.
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=folder.resolve()))
    demo = settings.model_copy(update={"home": folder / "home", "bucket": folder / "bucket"} | EMBEDDED)
    _drop(folder / "bucket", console)
    environment = {name: value for name, value in os.environ.items() if name not in NOT_EMBEDDED} | {
        "FACEWARDEN_HOME": str(demo.home),
        "FACEWARDEN_BUCKET": str(demo.bucket),
        "FACEWARDEN_WEIGHTS": str(demo.weights.resolve()),
    }
    console.print("screening: queue, worker, explanations ...")
    began = time.monotonic()
    with (folder / "up.log").open("wb") as output:
        up = subprocess.Popen(  # noqa: S603  our own command
            [*THIS, "up", "--until-idle"],
            env=environment,
            cwd=folder,  # away from any `.env`, which could name the real database
            stdout=output,
            stderr=output,
            preexec_fn=die_with_parent,  # noqa: PLW1509  no thread of this process holds a lock then
        )
        try:
            failed = _followed(up, demo)
        finally:
            _stop(up)
    if failed:
        console.print(f"demo: FAILED, `facewarden up` {failed}; see {folder / 'up.log'}")
        return False
    with transaction(connect(demo.sql_url)) as session:
        found = detail.screenings(session, Filters(every_screening=True))
    print_results(found, open_store(demo))
    fault = _fault(found)
    seconds = time.monotonic() - began
    if fault:
        console.print(f"[bold red]demo: FAILED, {fault}[/] (logs: {demo.home / 'logs'})")
    else:
        console.print(
            f"[bold green]demo: passed[/] in {seconds:.0f} s: "
            "swapped.mp4 is flagged and explained, genuine.mp4 is clear",
            soft_wrap=True,  # the last line is one line, however narrow the terminal
        )
    return not fault


def _followed(up: "subprocess.Popen[bytes]", demo: Settings) -> str:
    """Wait until `up` has ended by itself; what went wrong, or nothing."""
    moved, before = time.monotonic(), None
    while (code := up.poll()) is None:
        state = _progress(demo)
        if state != before:
            moved, before = time.monotonic(), state
        if time.monotonic() - moved > LONGEST_STANDSTILL_SECONDS:
            return f"made no progress in {LONGEST_STANDSTILL_SECONDS:.0f} s"
        time.sleep(LOOK_SECONDS)
    return f"exited with {code}" if code else ""


def _progress(demo: Settings) -> object:
    """What changes while the workers make progress; None before there is a database."""
    if not (demo.home / "facewarden.sqlite3").exists():
        return None
    engine = connect(demo.sql_url)
    try:
        with transaction(engine) as session:
            return workload.counts(session), workload.latest_lease(session)
    except FacewardenError:
        return None  # not migrated yet, or busy for too long
    finally:
        engine.dispose()


def _stop(up: "subprocess.Popen[bytes]") -> None:
    if up.poll() is None:
        up.terminate()
        up.wait()


def _drop(bucket: Path, console: Console) -> None:
    bucket.mkdir(parents=True, exist_ok=True)
    made = make_photographs()
    for name, photograph in made.items():
        target = bucket / f"{name}.mp4"
        partial = bucket / f"{name}.mp4.part"  # the bucket takes it in once it is complete
        write_clip(partial, photograph)
        partial.replace(target)
        console.print(f"made {target}")


def _fault(found: list[ScreeningDetail]) -> str:
    by_name = {name: screening for screening in found for name in screening.names}
    genuine, swapped = by_name.get("genuine.mp4"), by_name.get("swapped.mp4")
    if genuine is None or swapped is None:
        return "a clip has no result"
    if genuine.item.verdict != Verdict.CLEAR:
        return f"genuine.mp4 is {genuine.item.verdict or genuine.item.error_message}"
    if swapped.item.verdict not in FLAGGED:
        return f"swapped.mp4 is {swapped.item.verdict or swapped.item.error_message}"
    explained = [frame for frame in swapped.flagged_frames if len(frame.explanations) == 2]
    return "" if explained else "swapped.mp4 has no explanation"


def make_photographs() -> dict[str, Image]:
    """The astronaut as she is, and with Grace Hopper's face; uint8 (H, W, 3)."""
    target = np.ascontiguousarray(astronaut())
    with Pillow.open(get_sample_data("grace_hopper.jpg", asfileobj=False)) as picture:
        source = np.asarray(picture.convert("RGB"), np.uint8)
    face = _face(source)
    # Face swappers paint in low resolution: 48 pixels here, like the early ones.
    factor = DECODER_PIXELS / max(face.box.width, face.box.height)
    painted = np.asarray(
        cv2.resize(source, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8
    )
    swapped = swap_face(
        target,
        _face(target).landmarks,
        painted,
        (face.landmarks * factor).astype(np.float32),
        rng=np.random.default_rng(0),
        feather=0.2,
    )
    return {"genuine": target, "swapped": swapped}


def _face(photograph: Image) -> Face:
    return FaceDetector(DetectionSettings()).detect([photograph])[0][0]


def write_clip(path: Path, photograph: Image, *, seconds: int = SECONDS) -> None:
    """An H.264 clip of the photograph under a camera that pans and zooms smoothly, with a little noise."""
    encode(path, _frames(photograph, seconds), rate=RATE)


def _frames(photograph: Image, seconds: int) -> Iterator[Image]:
    rng = np.random.default_rng(1)
    for number in range(seconds * RATE):
        picture = seen(photograph, number / (seconds * RATE))
        yield grainy(picture, rng.normal(0, 1.5, picture.shape))


def seen(photograph: Image, moment: float) -> Image:
    """What the camera shows at `moment` in [0, 1]."""
    height, width = photograph.shape[:2]
    zoom = (WIDTH / width) * (1.15 + 0.15 * np.sin(2 * np.pi * moment))
    x = width * (0.46 + 0.05 * np.cos(2 * np.pi * moment))
    y = height * (0.36 + 0.03 * np.sin(4 * np.pi * moment))
    return view(photograph, (WIDTH, HEIGHT), zoom=zoom, left=zoom * x - WIDTH / 2, top=zoom * y - HEIGHT / 2)
