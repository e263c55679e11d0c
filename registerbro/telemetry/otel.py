"""OpenTelemetry exporter of our spans, when TRACING_ENDPOINT is set (the extra `tracing`).

OpenTelemetry's own instrumentation of Celery is not used: it records the message of every exception in the span, which
may hold anything, and leaves spans open for tasks that the publishing process does not have.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from config.settings import Settings, SettingsError
from registerbro.telemetry import trace
from registerbro.telemetry.trace import Context, Kind

if TYPE_CHECKING:
    from opentelemetry.trace import Span as RecordedSpan
    from opentelemetry.trace import Tracer


@dataclass(slots=True)
class _Recorded:
    context: Context
    span: "RecordedSpan"

    def set_attributes(self, **attributes: str | float) -> None:
        """Adds attributes."""
        for name, value in attributes.items():
            self.span.set_attribute(f"registerbro.{name}", value)

    def name(self, name: str) -> None:
        """Names it anew."""
        self.span.update_name(name)

    def fail(self, reason: str) -> None:
        """Marks it as failed."""
        from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415 - an extra

        self.span.set_status(Status(StatusCode.ERROR, reason))


def enable(settings: Settings, service: str) -> Callable[[], None]:
    """Records this process's spans as `service`, if that is set up. Returns a function that flushes them and ends that.

    Raises SettingsError when the extra is missing.
    """
    if settings.tracing_endpoint is None:
        return lambda: None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - an extra
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError:
        raise SettingsError("REGISTERBRO_TRACING_ENDPOINT: needs the extra: pip install registerbro[tracing]") from None
    provider = TracerProvider(resource=Resource({"service.name": service}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(str(settings.tracing_endpoint))))
    trace.record_with(_Recorder(provider.get_tracer("registerbro")).open)

    def end() -> None:
        trace.record_with(None)
        provider.shutdown()

    return end


class _Recorder:
    """Opens spans with one tracer."""

    def __init__(self, tracer: "Tracer") -> None:
        self._tracer = tracer

    @contextmanager
    def open(self, name: str, kind: Kind, parent: Context | None) -> Iterator[trace.Span]:
        """A recorded span; an exception that leaves it ends it, and nothing of the exception is noted but its type."""
        from opentelemetry import trace as otel  # noqa: PLC0415 - an extra

        within = None
        if parent is not None:
            flags = otel.TraceFlags(otel.TraceFlags.SAMPLED if parent.sampled else otel.TraceFlags.DEFAULT)
            ids = int(parent.trace_id, 16), int(parent.span_id, 16)
            remote = otel.SpanContext(*ids, is_remote=True, trace_flags=flags)
            within = otel.set_span_in_context(otel.NonRecordingSpan(remote))
        span = self._tracer.start_span(name, within, otel.SpanKind[kind.value], record_exception=False)
        made = span.get_span_context()
        context = Context(f"{made.trace_id:032x}", f"{made.span_id:016x}", made.trace_flags.sampled)
        recorded = _Recorded(context, span)
        try:
            yield recorded
        except BaseException as error:
            recorded.fail(type(error).__name__)
            raise
        finally:
            span.end()
