"""Traces and metrics, as OpenTelemetry's own SDK collects them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from grpclib.const import Status
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from remotemedia import AudioBuffer, CallRecord, RemoteMediaClient, RemoteMediaError
from remotemedia.grpc import RetryPolicy
from remotemedia.otel import OpenTelemetry
from remotemedia.testing import Fault, LocalService
from tests.support.core_server import CoreServer
from tests.support.pipelines import PASS, tone

EXECUTE = "remotemedia.v1.PipelineExecutionService/ExecutePipeline"
STREAM = "remotemedia.v1.StreamingPipelineService/StreamPipeline"


class Collected:
    """A tracer and a meter of their own, and what they collected."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.tracer_provider = TracerProvider()
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.reader = InMemoryMetricReader()
        self.telemetry = OpenTelemetry(
            tracer_provider=self.tracer_provider,
            meter_provider=MeterProvider([self.reader]),
        )

    def client(self, address: str, **options: Any) -> RemoteMediaClient:
        return RemoteMediaClient(
            address,
            interceptors=[self.telemetry.intercept],
            on_call_end=self.telemetry.on_call_end,
            **options,
        )

    def span(self, name: str) -> ReadableSpan:
        (span,) = (s for s in self.exporter.get_finished_spans() if s.name == name)
        return span

    def metrics(self, method: str) -> dict[str, Any]:
        """The data points of a method, by the name of the metric."""
        data = self.reader.get_metrics_data()
        assert data is not None
        return {
            metric.name: point
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            for point in metric.data.data_points
            if dict(point.attributes or {})["rpc.method"] == method
        }


@pytest.fixture
def collected() -> Collected:
    return Collected()


async def chunks(count: int) -> AsyncIterator[tuple[str, AudioBuffer]]:
    for _ in range(count):
        yield "src", tone()


async def test_a_call_is_a_client_span(
    collected: Collected, local: LocalService
) -> None:
    async with collected.client(local.address) as client:
        result = await client.execute_pipeline(PASS, {"src": tone()})
    span = collected.span(EXECUTE)
    assert span.kind is SpanKind.CLIENT
    assert span.status.status_code is StatusCode.UNSET
    assert dict(span.attributes or {}) == {
        "rpc.system.name": "grpc",
        "rpc.method": EXECUTE,
        "rpc.response.status_code": "OK",
        "server.address": "127.0.0.1",
        "server.port": int(local.address.rpartition(":")[2]),
        "remotemedia.operation": "execute_pipeline",
        "remotemedia.request_id": result.request_id,
    }


async def test_the_context_is_sent_to_the_service(
    collected: Collected, core: CoreServer
) -> None:
    tracer = collected.tracer_provider.get_tracer("test")
    async with collected.client(core.address, metadata={"x": "1"}) as client:
        with tracer.start_as_current_span("outer") as outer:
            await client.get_version()
            assert trace.get_current_span() is outer
    seen = dict(core.execution.metadata)
    span = collected.exporter.get_finished_spans()[-2]
    assert span.parent is not None
    assert span.parent.span_id == outer.get_span_context().span_id
    assert span.context is not None
    trace_id, span_id = span.context.trace_id, span.context.span_id
    assert seen["traceparent"].startswith(f"00-{trace_id:032x}-{span_id:016x}-")
    assert seen["x"] == "1"


async def test_a_stream_is_a_span_for_its_whole_life(
    collected: Collected, local: LocalService
) -> None:
    async with collected.client(local.address) as client:
        async for _ in client.stream_pipeline(PASS, chunks(3)):
            assert len(collected.exporter.get_finished_spans()) == 1
    span = collected.span(STREAM)
    assert dict(span.attributes or {})["remotemedia.operation"] == "stream_pipeline"
    assert span.status.status_code is StatusCode.UNSET
    points = collected.metrics(STREAM)
    assert points["rpc.client.call.duration"].count == 1
    assert points["remotemedia.client.request.size"].sum > 3 * len(tone().samples)


@pytest.mark.parametrize(
    ("fault", "status", "error_type"),
    [
        (Fault.status(Status.ABORTED, "gone"), "ABORTED", "INTERNAL"),
        (Fault.error("gone", method="ExecutePipeline"), "OK", "INTERNAL"),
    ],
)
async def test_a_failure_is_an_error_of_the_span_and_of_the_metrics(
    collected: Collected,
    local: LocalService,
    fault: Fault,
    status: str,
    error_type: str,
) -> None:
    local.add_fault(fault)
    async with collected.client(local.address) as client:
        with pytest.raises(RemoteMediaError, match="gone"):
            await client.execute_pipeline(PASS)
    span = collected.span(EXECUTE)
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == "gone"
    point = collected.metrics(EXECUTE)["rpc.client.call.duration"]
    for attributes in (dict(span.attributes or {}), dict(point.attributes)):
        assert attributes["rpc.response.status_code"] == status
        assert attributes["error.type"] == error_type


async def test_leaving_a_stream_is_no_error(
    collected: Collected, local: LocalService
) -> None:
    async with (
        collected.client(local.address) as client,
        client.stream_pipeline(PASS, chunks(3)) as results,
    ):
        await anext(results)
    span = collected.span(STREAM)
    assert span.status.status_code is StatusCode.UNSET
    assert dict(span.attributes or {})["rpc.response.status_code"] == "CANCELLED"


async def test_sizes_and_retries_are_measured(
    collected: Collected, local: LocalService
) -> None:
    local.add_fault(Fault.status(Status.UNAVAILABLE, method="ExecutePipeline", times=2))
    policy = RetryPolicy(initial_backoff_s=1e-6)
    async with collected.client(local.address, retry=policy) as client:
        await client.execute_pipeline(PASS, {"src": tone()}, idempotent=True)
    points = collected.metrics(EXECUTE)
    assert points["remotemedia.client.retries"].value == 2
    assert points["remotemedia.client.request.size"].sum > 3 * len(tone().samples)
    assert points["remotemedia.client.response.size"].sum > len(tone().samples)
    assert "remotemedia.client.dropped_chunks" not in points


def record(**changes: Any) -> CallRecord:
    facts: dict[str, Any] = {
        "operation": "open_stream",
        "method": f"/{STREAM}",
        "address": "unix:/run/service",
        "request_id": "id",
        "attempts": 1,
        "duration_s": 0.5,
        "status": Status.OK,
        "error_type": "",
        "sent_bytes": 1,
        "received_bytes": 2,
        "sent_messages": 3,
        "received_messages": 4,
    }
    return CallRecord(**{**facts, **changes})


def test_dropped_chunks_and_reconnects_are_counted(collected: Collected) -> None:
    collected.telemetry.on_call_end(record(dropped_chunks=7))
    collected.telemetry.on_call_end(record(operation="reconnect"))
    points = collected.metrics(STREAM)
    assert points["remotemedia.client.dropped_chunks"].value == 7
    assert points["remotemedia.client.reconnects"].value == 1
    duration = points["rpc.client.call.duration"]
    assert (duration.count, duration.sum) == (2, 1.0)
    attributes = dict(duration.attributes)
    assert attributes["server.address"] == "/run/service"
    assert "server.port" not in attributes


def test_several_addresses_are_shown_as_they_are(collected: Collected) -> None:
    collected.telemetry.on_call_end(record(address="a:1, b:2"))
    point = collected.metrics(STREAM)["rpc.client.call.duration"]
    assert dict(point.attributes)["server.address"] == "a:1, b:2"


def test_nothing_is_imported_without_it() -> None:
    program = (
        "import sys, remotemedia, remotemedia.testing\n"
        "assert not [m for m in sys.modules if m.startswith('opentelemetry')]\n"
        "sys.modules['opentelemetry'] = None\n"
        "try:\n"
        "    import remotemedia.otel\n"
        "except ImportError as error:\n"
        "    assert \"pip install 'remotemedia[otel]'\" in str(error)\n"
        "else:\n"
        "    raise AssertionError\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
