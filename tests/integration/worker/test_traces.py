"""One trace from the request to the explanations: through SQL, whatever becomes of Redis."""

from pathlib import Path

from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import Engine

from core import queues, traces
from core.settings import Settings
from ingest.reconciler import Reconciler
from tests.integration.worker.test_jobs import take_in
from worker.process import run_worker


def test_a_video_is_one_trace_from_intake_to_explanation(
    system: Settings, engine: Engine, face_clip: Path
) -> None:
    kept = InMemorySpanExporter()
    with traces.exported(system, "test", exporter=kept):
        take_in(system, engine, face_clip)
        queues.connect(system.queue_url).flushall()  # the trace must not have been there alone
        assert Reconciler(system, engine).run_once().enqueued == 1
        run_worker(queues.SCREEN, system, burst=True)
        run_worker(queues.EXPLAIN, system, burst=True)
    spans = kept.get_finished_spans()
    first, screening, *explained = spans
    assert [each.name for each in spans] == ["take in", "screening", *["flagged frame"] * 3]
    assert first.parent is None
    assert first.attributes == {"intake": "queued"}
    assert len({each.context.trace_id for each in spans}) == 1
    assert all(each.parent and each.parent.span_id == first.context.span_id for each in spans[1:])
    found = dict(screening.attributes or {})
    assert (found["verdict"], found["attempt"]) == ("fake", 1)
    assert {"decode_seconds", "detect_seconds", "classify_seconds"} <= set(found)
    assert len({(each.attributes or {})["flagged_frame"] for each in explained}) == 3
