"""One trace of each video, from where it is taken in to its verdict and explanations (OpenTelemetry).

Its id is kept with the screening in SQL, so that whoever works on it next goes on with the same trace, also
after Redis was wiped. It stands in the logs whether or not anybody collects spans; those are exported where
the settings name a collector and the extra `otel` is installed.

The kept form is the `traceparent` of W3C Trace Context (https://www.w3.org/TR/trace-context/).
"""

import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

import structlog
from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from core.errors import SettingsError
from core.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

TRACEPARENT = "traceparent"
COLLECTOR_SECONDS = 2.0  # for a batch of spans, and so for the end of a process whose collector is away
LENGTH = 55  # characters of the kept form
EXTRA = "the extra `otel` is not installed; `pip install 'facewarden[otel]'`, or leave the setting out"

Attribute = str | int | float

_PROPAGATOR = TraceContextTextMapPropagator()
_provider: trace.TracerProvider | None = None  # of this process, while spans are exported


@contextmanager
def span(name: str, *, parent: str | None = None, **attributes: Attribute) -> Iterator[None]:
    """What is done meanwhile is a part of a trace, and its log lines carry `trace_id`.

    The trace is the one that the traceparent `parent` names, else the one that this code runs in, else a new
    one.
    """
    tracer = trace.get_tracer("facewarden", tracer_provider=_provider)
    context: Context | None = _PROPAGATOR.extract({TRACEPARENT: parent}) if parent else None
    with tracer.start_as_current_span(name, context=context, attributes=attributes) as started:
        own = started.get_span_context()
        entered: AbstractContextManager[object] = nullcontext()
        if not own.is_valid:  # without a collector nobody makes ids but us
            own = _fresh()
            entered = trace.use_span(NonRecordingSpan(own))
        with entered, structlog.contextvars.bound_contextvars(trace_id=f"{own.trace_id:032x}"):
            yield


@contextmanager
def within(parent: str) -> Iterator[None]:
    """What is done meanwhile is a part of the trace that the traceparent `parent` names.

    It makes no span of its own; a `parent` that makes no sense changes nothing.
    """
    entered = attach(_PROPAGATOR.extract({TRACEPARENT: parent}))
    try:
        yield
    finally:
        detach(entered)


def current() -> str | None:
    """The traceparent of the span that this code runs in; None outside any."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    return carrier.get(TRACEPARENT)


def note(**attributes: Attribute) -> None:
    """Say more about the span that this code runs in."""
    trace.get_current_span().set_attributes(attributes)


def provider() -> trace.TracerProvider | None:
    """Where this process's spans go; None where nobody collects them."""
    return _provider


@contextmanager
def exported(settings: Settings, process: str, *, exporter: "SpanExporter | None" = None) -> Iterator[None]:
    """Send this process's spans to the collector of the settings meanwhile, or to `exporter`.

    A collector that does not answer costs nothing but the spans. Raises SettingsError if a collector is named
    and the extra is not installed.
    """
    global _provider  # noqa: PLW0603 - one of a process, as OpenTelemetry's own
    endpoint = settings.traces.endpoint
    if endpoint is None and exporter is None:
        yield
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError as error:
        raise SettingsError(setting="FACEWARDEN_TRACES__ENDPOINT", reason=EXTRA) from error
    made = TracerProvider(resource=Resource.create({"service.name": f"facewarden {process}"}))
    made.add_span_processor(
        BatchSpanProcessor(exporter or OTLPSpanExporter(endpoint=endpoint, timeout=COLLECTOR_SECONDS))
    )
    _provider = made
    try:
        yield
    finally:
        _provider = None
        made.shutdown()  # sends what is left


def _fresh() -> SpanContext:
    """The root of a new trace; no id may be zero."""
    return SpanContext(
        trace_id=secrets.randbits(128) | 1,
        span_id=secrets.randbits(64) | 1,
        is_remote=False,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )
