"""Ids that hold together, with and without a collector."""

import sys

import pytest
import structlog
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from core import traces
from core.errors import SettingsError
from core.settings import Settings, TracesSettings

ABOVE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
COLLECTOR = TracesSettings(endpoint="http://127.0.0.1:9/v1/traces")


def trace_id() -> str:
    now = traces.current()
    assert now is not None
    assert len(now) == traces.LENGTH
    return now.split("-")[1]


def test_outside_a_span_there_is_no_trace() -> None:
    assert traces.current() is None
    traces.note(ignored=1)


def test_a_span_begins_a_trace_goes_on_with_the_one_around_it_or_with_the_named_one() -> None:
    with traces.span("first"):
        first = trace_id()
        assert structlog.contextvars.get_contextvars()["trace_id"] == first
        with traces.span("within"):
            assert trace_id() == first
        with traces.span("elsewhere", parent=ABOVE):
            assert trace_id() == ABOVE.split("-")[1]
        assert trace_id() == first
    assert "trace_id" not in structlog.contextvars.get_contextvars()
    with traces.span("second"):
        assert trace_id() != first


@pytest.mark.parametrize("parent", ["", "nonsense", "00-" + "0" * 32 + "-b7ad6b7169203331-01"])
def test_a_parent_that_names_none_is_no_parent(parent: str) -> None:
    with traces.span("first", parent=parent):
        assert int(trace_id(), 16) != 0


def test_spans_reach_the_exporter_with_what_was_noted(settings: Settings) -> None:
    kept = InMemorySpanExporter()
    with traces.exported(settings, "test", exporter=kept):
        assert traces.provider() is not None
        with traces.span("outer", parent=ABOVE, attempt=2):
            traces.note(verdict="fake")
            with pytest.raises(ValueError, match="lost"), traces.span("inner"):
                raise ValueError("lost")
    assert traces.provider() is None
    inner, outer = kept.get_finished_spans()
    assert outer.attributes == {"attempt": 2, "verdict": "fake"}
    assert outer.parent is not None
    assert f"{outer.parent.span_id:016x}" == ABOVE.split("-")[2]
    assert inner.parent == outer.context
    assert not inner.status.is_ok
    assert outer.resource.attributes["service.name"] == "facewarden test"


def test_without_a_collector_nothing_is_set_up(settings: Settings) -> None:
    with traces.exported(settings, "test"):
        assert traces.provider() is None


def test_a_collector_without_the_extra_is_refused(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    named = settings.model_copy(update={"traces": COLLECTOR})
    with pytest.raises(SettingsError, match=r"facewarden\[otel\]"), traces.exported(named, "test"):
        pass


def test_a_collector_that_is_away_costs_nothing_but_the_spans(settings: Settings) -> None:
    named = settings.model_copy(update={"traces": COLLECTOR})
    with traces.exported(named, "test"), traces.span("lost"):
        assert trace_id()
