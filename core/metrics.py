"""Prometheus metrics of this process: shown on its port (storage.signs), and written as a file for
node_exporter's textfile collector.

One registry a process is enough: workers run their jobs without a fork (worker.process), and the decoder's
process counts nothing.
"""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, write_to_textfile
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from core.settings import Settings

REGISTRY = CollectorRegistry()

SIGHTED = Counter(
    "facewarden_files_total", "Files taken in, by what became of them.", ["outcome"], registry=REGISTRY
)
SCREENED = Counter(
    "facewarden_screenings_total",
    "Screenings ended, by verdict or error code.",
    ["outcome"],
    registry=REGISTRY,
)
SHADOWED = Counter(
    "facewarden_shadow_total",
    "Videos that another model saw in the shadow: same (verdict), other, failed.",
    ["outcome"],
    registry=REGISTRY,
)
EXPLAINED = Counter(
    "facewarden_explanations_total", "Flagged frames explained, by outcome.", ["outcome"], registry=REGISTRY
)
DELIVERED = Counter(
    "facewarden_webhook_attempts_total",
    "Attempts to send an event: delivered, failed, dead (given up), gone (410).",
    ["outcome"],
    registry=REGISTRY,
)
BUCKET_EVENTS = Counter(
    "facewarden_bucket_events_total",
    "Events of the watched bucket in S3: looks (at a key), removed (noted), ignored (of other places).",
    ["kind"],
    registry=REGISTRY,
)
REPAIRED = Counter(
    "facewarden_reconciler_repairs_total",
    "Jobs brought back by the reconciler, by kind.",
    ["kind"],
    registry=REGISTRY,
)
WAITING = Gauge(
    "facewarden_waiting",
    "Screenings and explanations that the database says are still to be done, by queue.",
    ["queue"],
    registry=REGISTRY,
)
FACES = Counter("facewarden_faces_total", "Faces found in screened videos.", registry=REGISTRY)
GPU_BYTES = Gauge(
    "facewarden_gpu_bytes", "GPU memory that this process has reserved; 0 on a CPU.", registry=REGISTRY
)
S3_ERRORS = Counter(
    "facewarden_s3_errors_total",
    "Requests that S3 refused, or still did not answer after all attempts.",
    ["kind"],
    registry=REGISTRY,
)
OBJECTS = Gauge(
    "facewarden_objects",
    "Objects at the last sweep: all stored ones, those no row names (orphans), those that are missing.",
    ["state"],
    registry=REGISTRY,
)
SWEPT = Counter("facewarden_swept_objects_total", "Objects removed by the sweep.", registry=REGISTRY)
SWEPT_BYTES = Counter("facewarden_swept_bytes_total", "Bytes removed by the sweep.", registry=REGISTRY)
STAGE_SECONDS = Histogram(
    "facewarden_stage_seconds",
    "Seconds per stage of screening one video (some run side by side), or of explaining one frame.",
    ["stage"],
    buckets=(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300),
    registry=REGISTRY,
)


class _Named(Collector):
    """All metrics of this process with one label more.

    node_exporter reads the files of all processes as one page, and refuses the whole of it where two samples
    are called the same.
    """

    def __init__(self, process: str) -> None:
        self._process = process

    def collect(self) -> Iterator[Metric]:
        for metric in REGISTRY.collect():
            metric.samples = [
                each._replace(labels={**each.labels, "process": self._process}) for each in metric.samples
            ]
            yield metric


def own_name(kind: str) -> str:
    """What this process is called in its file and its samples: `kind`, its machine and its process id.

    Several processes of a kind, on several machines, may share a home.
    """
    return f"{kind}_{socket.gethostname()}_{os.getpid()}"


def write(settings: Settings, kind: str) -> None:
    """Write this process's metrics to `home/metrics/facewarden_<own name>.prom`, at once and whole.

    Each sample has the label `process`, the same name. The files of this machine's processes that were killed
    are removed: what they last said would be read for ever.
    """
    file = _file(settings, kind)
    file.parent.mkdir(parents=True, exist_ok=True)
    for other in file.parent.glob(f"facewarden_*_{socket.gethostname()}_*.prom"):
        if not _lives(other.stem.rpartition("_")[2]):
            other.unlink(missing_ok=True)
    named = CollectorRegistry()
    named.register(_Named(own_name(kind)))
    write_to_textfile(str(file), named)


def forget(settings: Settings, kind: str) -> None:
    """Remove what `write` wrote, once this process ends: no other one will have its name."""
    _file(settings, kind).unlink(missing_ok=True)


def _file(settings: Settings, kind: str) -> Path:
    return settings.home / "metrics" / f"facewarden_{own_name(kind)}.prom"


def _lives(process_id: str) -> bool:
    try:
        os.kill(int(process_id), 0)
    except PermissionError:  # there is one, another user's
        return True
    except (ProcessLookupError, ValueError):
        return False
    return True
