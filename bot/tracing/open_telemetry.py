"""Spans by OpenTelemetry: the only module that imports the library, and imported only where it is wanted.

The SDK reads `OTEL_*` by itself, but for the service's name. Of an error only the type is recorded: its text
may hold what somebody wrote.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from bot.tracing.spans import NO_SPAN, SpanKind, TraceSpan

_FLUSH_MS = 3_000
_PROPAGATOR = TraceContextTextMapPropagator()


class OpenTelemetry:
    """Exports spans by OTLP over HTTP, in batches, from a thread of its own."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        attributes = {"service.version": version("governor")}
        resource = environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
        if "OTEL_SERVICE_NAME" not in environ and "service.name" not in resource:
            attributes["service.name"] = "governor"
        self._provider = TracerProvider(resource=Resource.create(attributes), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("governor")

    def stop(self) -> None:
        """Export what is left, and end; may block for some seconds."""
        self._provider.force_flush(_FLUSH_MS)
        self._provider.shutdown()

    @contextmanager
    def span(
        self, name: str, kind: SpanKind, parent: str | None, also: Iterable[str | None], *, inner: bool
    ) -> Iterator[TraceSpan]:
        """Open a span, see `bot.tracing.spans.span`."""
        if inner and not trace.get_current_span().get_span_context().is_valid:
            yield NO_SPAN
            return
        with self._tracer.start_as_current_span(
            name,
            context=_context(parent) if parent else None,
            kind=trace.SpanKind[kind.upper()],
            links=[trace.Link(_span_context(other)) for other in also if other],
            record_exception=False,
            set_status_on_exception=False,
        ) as opened:
            try:
                yield _OpenedSpan(opened)
            except BaseException as error:
                opened.set_status(trace.Status(trace.StatusCode.ERROR))
                opened.set_attribute("error.type", type(error).__name__)
                raise

    def current_parent(self) -> str | None:
        """Return the present span as a `traceparent`; None without one."""
        carrier: dict[str, str] = {}
        _PROPAGATOR.inject(carrier)
        return carrier.get("traceparent")


class _OpenedSpan:
    def __init__(self, opened: trace.Span) -> None:
        self._opened = opened

    def note(self, name: str, value: str | int) -> None:
        self._opened.set_attribute(name, value)


def _context(traceparent: str) -> Context:
    return _PROPAGATOR.extract({"traceparent": traceparent})


def _span_context(traceparent: str) -> trace.SpanContext:
    return trace.get_current_span(_context(traceparent)).get_span_context()
