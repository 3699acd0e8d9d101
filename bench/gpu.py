"""`make bench-gpu`: what the GPU of this machine makes of each stage, against its CPU.

    python -m bench.gpu

Without a GPU it says so and measures nothing.
"""

import json
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.table import Table
from skimage.data import astronaut

from bench import bench_console, clips
from core.settings import Settings
from models.crop import crop_face, standing_landmarks
from models.detector import FaceDetector
from models.explain import grad_cam, lime
from models.face import Face, Image
from worker.screening.loading import load_classifier, load_pipeline
from worker.screening.pipeline import STAGES

SECONDS = 10  # of the clip that is screened
REPEATS = 5  # the median of so many is told
BACKENDS = ("fp32", "fp16", "bf16")
BATCHES = (1, 16, 64, 256)  # crops a call
FRAMES = (1, 16, 64)  # pictures a call of the detector
LIME_SAMPLES = 300
OUTPUT = Path("build/bench-gpu.json")

Report = dict[str, Any]


def main() -> int:
    if not torch.cuda.is_available():
        print("bench-gpu: skipped, this machine has no CUDA device")
        return 0
    settings = Settings(home=Path("build/bench"), device="cuda", log_level="error", _env_file=None)
    photograph = astronaut()
    face = FaceDetector(settings.detection, "cuda").detect([photograph])[0][0]
    report: Report = {
        "card": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    # A rented card may be gone before the end: each part is told and kept as soon as it is measured.
    parts: list[tuple[str, Callable[[], Report], Callable[[Report], None]]] = [
        ("classify", lambda: _classify(settings, photograph, face), _tell_classify),
        ("detect", lambda: _detect(settings, photograph), _tell_detect),
        ("explain", lambda: _explain(settings, photograph, face), _tell_explain),
        ("screening", lambda: _screening(settings, photograph), _tell_screening),
    ]
    for name, measure, tell in parts:
        report[name] = measure()
        report["peak_bytes"] = torch.cuda.max_memory_allocated()
        OUTPUT.write_text(json.dumps(report, indent=1) + "\n")
        tell(report)
    print(f"peak memory of the card: {report['peak_bytes'] / 1024**3:.2f} GiB")
    print(f"bench-gpu: done, written to {OUTPUT}")
    return 0


def _seconds(call: Callable[[], object]) -> float:
    """The median time of a call, everything that it started on the device included."""
    call()  # warm: memory, algorithms and kernels are chosen
    taken = []
    for _ in range(REPEATS):
        torch.cuda.synchronize()
        since = time.perf_counter()
        call()
        torch.cuda.synchronize()
        taken.append(time.perf_counter() - since)
    return float(np.median(taken))


def _classify(settings: Settings, photograph: Image, face: Face) -> Report:
    """Crops a second from the host's memory to logits in the host's memory, by backend and batch size."""
    found: Report = {}
    for backend in BACKENDS:
        for batch in BATCHES:
            options = settings.model_copy(update={"backend": backend, "batch_size": batch})
            classifier = load_classifier(options, options.weights)
            version = classifier.version
            crop = crop_face(photograph, face.box, version.crop, version.input_size)
            crops = np.repeat(crop[None], batch, axis=0)
            seconds = _seconds(lambda c=classifier, x=crops: c.logits(x))  # type: ignore[misc]
            found.setdefault(backend, {})[str(batch)] = batch / seconds
    return found


def _detect(settings: Settings, photograph: Image) -> Report:
    """Pictures of 1080p a second, with as many in a call."""
    picture = next(clips.frames(photograph, 1))
    found: Report = {}
    for device in ("cpu", "cuda"):
        for count in FRAMES if device == "cuda" else FRAMES[:2]:
            options = settings.detection.model_copy(update={"batch_size": count})
            detector = FaceDetector(options, device)
            seconds = _seconds(lambda d=detector, n=count: d.detect([picture] * n))  # type: ignore[misc]
            found.setdefault(device, {})[str(count)] = count / seconds
    return found


def _explain(settings: Settings, photograph: Image, face: Face) -> Report:
    """Seconds of one LIME explanation without its stability, by batch size, and of one Grad-CAM."""
    changes = {"samples": LIME_SAMPLES, "settled": 1.0, "hidden_at_once": 0, "stability_seeds": 1}
    options = settings.lime.model_copy(update=changes)
    found: Report = {"samples": LIME_SAMPLES}
    classifier = load_classifier(settings, settings.weights)
    version = classifier.version
    crop = crop_face(photograph, face.box, version.crop, version.input_size)
    answers = lime.answers_of(classifier, options)
    landmarks = standing_landmarks(face, version.crop, version.input_size)
    found["lime_seconds"] = _seconds(lambda: lime.explain(crop, answers, options, landmarks=landmarks))
    found["grad_cam_seconds"] = _seconds(lambda: grad_cam.explain(crop, classifier))
    return found


def _screening(settings: Settings, photograph: Image) -> Report:
    """A clip from its file to its verdict, with detector and classifier on the CPU and on the GPU."""
    found: Report = {"clip_seconds": SECONDS}
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        clips.write_1080p(clip, photograph, SECONDS)
        for device in ("cpu", "cuda"):
            pipeline = load_pipeline(settings.model_copy(update={"device": device}))
            pipeline.screen(clip)  # warm
            screened = pipeline.screen(clip)
            found[device] = screened.timings
            found[f"{device}_verdict"] = screened.video.verdict.value
    return found


def _tell_classify(report: Report) -> None:
    table = Table(title=f"crops a second, {report['card']}, torch {report['torch']}")
    for column in ("backend", *(f"batches of {batch}" for batch in BATCHES)):
        table.add_column(column, justify="right")
    for backend, rates in report["classify"].items():
        table.add_row(backend, *(f"{rates[str(batch)]:,.0f}" for batch in BATCHES))
    bench_console().print(table)


def _tell_detect(report: Report) -> None:
    for device, rates in report["detect"].items():
        told = ", ".join(f"{rate:.0f} ({count} a call)" for count, rate in rates.items())
        print(f"detector on {device}: 1080p pictures a second: {told}")


def _tell_explain(report: Report) -> None:
    explain = report["explain"]
    print(
        f"LIME, {explain['samples']} samples: {explain['lime_seconds']:.2f} s; "
        f"Grad-CAM: {explain['grad_cam_seconds']:.3f} s"
    )


def _tell_screening(report: Report) -> None:
    screening = report["screening"]
    length = screening["clip_seconds"]
    for device in ("cpu", "cuda"):
        seconds = screening[device]
        stages = ", ".join(f"{stage} {seconds[stage]:.2f}" for stage in STAGES)
        print(
            f"{length} s of 1080p30 on {device}: {seconds['total']:.2f} s ({stages}), "
            f"{length / seconds['total']:.0f} times as fast as it plays, {screening[f'{device}_verdict']}"
        )


if __name__ == "__main__":
    sys.exit(main())
