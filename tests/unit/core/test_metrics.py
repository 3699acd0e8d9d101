"""Metrics as the textfile collector of node_exporter reads them."""

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from core import metrics
from core.settings import Settings


def test_a_file_is_whole_and_replaced_at_once(settings: Settings) -> None:
    metrics.SIGHTED.labels(outcome="queued").inc()
    metrics.STAGE_SECONDS.labels(stage="decode").observe(0.02)
    metrics.write(settings, "ingest")
    before = count(settings)
    metrics.SIGHTED.labels(outcome="queued").inc(2)
    metrics.write(settings, "ingest")
    assert count(settings) == before + 2
    assert [file.name for file in written(settings)] == [f"facewarden_{metrics.own_name('ingest')}.prom"]


def test_processes_on_one_machine_share_no_sample(settings: Settings) -> None:
    """node_exporter refuses the whole page otherwise."""
    with another_process() as living:
        write_as(living, settings, "ingest")
        for kind in ("ingest", "deliver"):
            metrics.write(settings, kind)
        files = written(settings)
        seen = [
            (sample.name, *sorted(sample.labels.items()))
            for file in files
            for family in text_string_to_metric_families(file.read_text())
            for sample in family.samples
        ]
        assert len(set(seen)) == len(seen) > 0
        assert len(files) == 3
        metrics.forget(settings, "deliver")
        metrics.forget(settings, "ingest")
        assert [file.stem.rpartition("_")[2] for file in written(settings)] == [str(living)]


def test_what_a_killed_process_said_last_does_not_stay(settings: Settings) -> None:
    with another_process() as killed:
        write_as(killed, settings, "ingest")
        write_as(killed, settings, "worker_screen", machine="elsewhere")
        metrics.write(settings, "deliver")
        assert len(written(settings)) == 3
    metrics.write(settings, "deliver")
    assert [file.name for file in written(settings)] == [
        f"facewarden_{metrics.own_name('deliver')}.prom",
        f"facewarden_worker_screen_elsewhere_{killed}.prom",
    ], "of other machines nobody knows"


@contextmanager
def another_process() -> Iterator[int]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process.pid
        process.kill()


def write_as(process: int, settings: Settings, kind: str, machine: str | None = None) -> None:
    """Write the metrics that this process would write if it were another one, maybe on another machine."""
    machine = machine or socket.gethostname()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "getpid", lambda: process)
        patch.setattr(socket, "gethostname", lambda: machine)
        metrics.write(settings, kind)


def written(settings: Settings) -> list[Path]:
    return sorted((settings.home / "metrics").iterdir())


def count(settings: Settings) -> float:
    (file,) = written(settings)
    text = file.read_text()
    samples = {
        (sample.name, *(value for label, value in sample.labels.items() if label != "process")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["facewarden_stage_seconds_count", "decode"] >= 1
    return float(samples["facewarden_files_total", "queued"])
