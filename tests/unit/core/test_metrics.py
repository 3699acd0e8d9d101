"""Metrics as the textfile collector of node_exporter reads them."""

from prometheus_client.parser import text_string_to_metric_families

from core import metrics
from core.settings import Settings


def test_a_file_is_whole_and_replaced_at_once(settings: Settings) -> None:
    metrics.SIGHTED.labels(outcome="queued").inc()
    metrics.STAGE_SECONDS.labels(stage="decode").observe(0.02)
    metrics.write(settings, "ingest")
    folder = settings.home / "metrics"
    before = count(settings)
    metrics.SIGHTED.labels(outcome="queued").inc(2)
    metrics.write(settings, "ingest")
    assert count(settings) == before + 2
    assert [path.name for path in folder.iterdir()] == ["facewarden_ingest.prom"]


def test_processes_on_one_machine_share_no_sample(settings: Settings) -> None:
    """node_exporter refuses the whole page otherwise."""
    for process in ("ingest", "deliver"):
        metrics.write(settings, process)
    seen = [
        (sample.name, *sorted(sample.labels.items()))
        for file in (settings.home / "metrics").iterdir()
        for family in text_string_to_metric_families(file.read_text())
        for sample in family.samples
    ]
    assert len(set(seen)) == len(seen) > 0
    metrics.forget(settings, "deliver")
    assert [path.name for path in (settings.home / "metrics").iterdir()] == ["facewarden_ingest.prom"]


def count(settings: Settings) -> float:
    text = (settings.home / "metrics" / "facewarden_ingest.prom").read_text()
    samples = {
        (sample.name, *(value for label, value in sample.labels.items() if label != "process")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["facewarden_stage_seconds_count", "decode"] >= 1
    return float(samples["facewarden_files_total", "queued"])
