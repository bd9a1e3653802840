"""Traces and metrics with OpenTelemetry: the extra ``remotemedia[otel]``.

An ``OpenTelemetry`` object is an interceptor, which makes the spans, and a hook, which
makes the measurements::

    telemetry = OpenTelemetry()
    client = RemoteMediaClient(
        "localhost:50051",
        interceptors=[telemetry.intercept],
        on_call_end=telemetry.on_call_end,
    )

Each call is a client span, a stream for its whole life, with the attributes of the
semantic conventions for RPC. The context of the span is sent to the service as metadata
(``traceparent``, by default). The measurements:

======================================  ==========  ===============================
name                                    instrument  what it measures
======================================  ==========  ===============================
``rpc.client.call.duration``            histogram   seconds, with all attempts
``remotemedia.client.request.size``     histogram   bytes of the requests of a call
``remotemedia.client.response.size``    histogram   bytes of the responses of a call
``remotemedia.client.retries``          counter     attempts after the first
``remotemedia.client.reconnects``       counter     connections after the first
``remotemedia.client.dropped_chunks``   counter     chunks that were never sent
======================================  ==========  ===============================

Nothing here is imported, or costs anything, unless an application imports this module.

https://opentelemetry.io/docs/specs/semconv/rpc/
"""

from __future__ import annotations

try:
    from opentelemetry import context as otel_context
    from opentelemetry import metrics, propagate, trace
except ImportError as _missing:
    raise ImportError(
        "remotemedia.otel needs the package opentelemetry-api: "
        "pip install 'remotemedia[otel]'"
    ) from _missing

from remotemedia.grpc import Address, CallDetails, Next, Status
from remotemedia.operation import error_type_of, status_of
from remotemedia.record import CallRecord

__all__ = ["OpenTelemetry"]

_NAME = "remotemedia"
# The bounds that the semantic conventions advise, in seconds.
_DURATIONS_S = (
    *(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25),
    *(0.5, 0.75, 1, 2.5, 5, 7.5, 10),
)


class OpenTelemetry:
    """Makes a span of each call, and measures it.

    Args:
        tracer_provider: where the spans go; by default, the global one.
        meter_provider: where the measurements go; by default, the global one.
    """

    def __init__(
        self,
        *,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
    ) -> None:
        self._tracer = trace.get_tracer(_NAME, tracer_provider=tracer_provider)
        meter = metrics.get_meter(_NAME, meter_provider=meter_provider)
        self._duration = meter.create_histogram(
            "rpc.client.call.duration",
            "s",
            "Measures the duration of an outgoing Remote Procedure Call (RPC).",
            explicit_bucket_boundaries_advisory=_DURATIONS_S,
        )
        self._request_size = meter.create_histogram(
            f"{_NAME}.client.request.size", "By", "The size of the requests of a call."
        )
        self._response_size = meter.create_histogram(
            f"{_NAME}.client.response.size",
            "By",
            "The size of the responses of a call.",
        )
        self._retries = meter.create_counter(
            f"{_NAME}.client.retries", "{attempt}", "Attempts after the first."
        )
        self._reconnects = meter.create_counter(
            f"{_NAME}.client.reconnects", "{connection}", "Connections after the first."
        )
        self._dropped_chunks = meter.create_counter(
            f"{_NAME}.client.dropped_chunks", "{chunk}", "Chunks that were never sent."
        )

    async def intercept(self, call: CallDetails, next: Next) -> object:
        """Make a span of the call, and send its context to the service."""
        attributes: dict[str, str | int] = _attributes(call.method, call.address)
        if call.operation:
            attributes["remotemedia.operation"] = call.operation
        if call.request_id:
            attributes["remotemedia.request_id"] = call.request_id
        span = self._tracer.start_span(
            call.method.lstrip("/"),
            kind=trace.SpanKind.CLIENT,
            attributes=attributes,
        )
        headers: dict[str, str] = {}
        propagate.inject(headers, trace.set_span_in_context(span))
        # gRPC's metadata has lower-case keys.
        metadata = {key.lower(): value for key, value in headers.items()}
        # What the call does inside, such as fetching a token, is a child of the span.
        token = otel_context.attach(trace.set_span_in_context(span))
        try:
            response = await next(call.with_metadata(metadata))
        except BaseException as error:
            _end(span, error)
            raise
        else:
            _end(span, None)
            return response
        finally:
            otel_context.detach(token)

    def on_call_end(self, record: CallRecord) -> None:
        """Measure a call that has ended."""
        attributes: dict[str, str | int] = _attributes(record.method, record.address)
        attributes["rpc.response.status_code"] = record.status.name
        if record.error_type:
            attributes["error.type"] = record.error_type
        self._duration.record(record.duration_s, attributes)
        self._request_size.record(record.sent_bytes, attributes)
        self._response_size.record(record.received_bytes, attributes)
        where = _attributes(record.method, record.address)
        if record.attempts > 1:
            self._retries.add(record.attempts - 1, where)
        if record.dropped_chunks:
            self._dropped_chunks.add(record.dropped_chunks, where)
        if record.operation == "reconnect":
            self._reconnects.add(1, where)


def _attributes(method: str, address: str) -> dict[str, str | int]:
    """What the semantic conventions want to know of every call."""
    attributes: dict[str, str | int] = {
        "rpc.system.name": "grpc",
        "rpc.method": method.lstrip("/"),
    }
    try:
        where = Address.parse(address)
    except ValueError:
        # A client of several services has a list of addresses.
        attributes["server.address"] = address
        return attributes
    attributes["server.address"] = where.path or where.host
    if not where.path:
        attributes["server.port"] = where.port
    return attributes


def _end(span: trace.Span, error: BaseException | None) -> None:
    status = status_of(error)
    span.set_attribute("rpc.response.status_code", status.name)
    if error is not None:
        span.set_attribute("error.type", error_type_of(error))
        # What the caller did, by leaving the call, is no failure of the service's.
        if status is not Status.CANCELLED:
            span.set_status(trace.StatusCode.ERROR, _text(error))
    span.end()


def _text(error: BaseException) -> str:
    """What went wrong, without the id of the call, which the span has already."""
    return str(getattr(error, "message", None) or error)
