"""Stubs of any service over a client's connection: `client.stub`."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
from grpclib.const import Status

from remotemedia import (
    CallRecord,
    RemoteMediaClient,
    RemoteMediaConnectionError,
    RemoteMediaError,
    RemoteMediaTimeoutError,
)
from remotemedia.client_caller import ClientCaller
from remotemedia.grpc import CallArguments, CallDetails, Channel, Next, RetryPolicy
from remotemedia.manifest import to_manifest
from remotemedia.testing import Fault, LocalService
from remotemedia.v1 import (
    ErrorType,
    ExecuteRequest,
    PipelineExecutionServiceStub,
    StreamControl,
    StreamControlCommand,
    StreamingPipelineServiceStub,
    StreamInit,
    StreamRequest,
    StreamResponse,
    VersionRequest,
    VersionResponse,
)
from tests.support.calls import READY, VERSION, no_input
from tests.support.core_server import CoreServer
from tests.support.peers import Exchange, h2_peer
from tests.support.pipelines import PASS
from tests.support.waiting import until

PATH = "/any.Service/Method"


async def whole_session() -> AsyncIterator[StreamRequest]:
    yield StreamRequest(
        init=StreamInit(manifest=to_manifest(PASS), client_version="v1")
    )
    close = StreamControl(command=StreamControlCommand.COMMAND_CLOSE)
    yield StreamRequest(control=close)


async def test_a_call_with_the_clients_token_metadata_and_id(core: CoreServer) -> None:
    core.execution.token = "t"
    records: list[CallRecord] = []
    async with RemoteMediaClient(
        core.address,
        token="t",
        metadata={"x-tenant": "blue"},
        on_call_end=records.append,
    ) as client:
        stub = client.stub(PipelineExecutionServiceStub)
        answer = await stub.get_version(
            VersionRequest(client_version="v1"), metadata={"x-call": "1"}
        )
    assert answer.compatible
    seen = dict(core.execution.metadata)
    assert (seen["x-tenant"], seen["x-call"]) == ("blue", "1")
    assert records[-1].operation == "GetVersion"
    assert records[-1].request_id == seen["x-request-id"]
    assert records[-1].status is Status.OK


async def test_failures_are_remotemedia_errors(local: LocalService) -> None:
    async with RemoteMediaClient(local.address) as client:
        stub = client.stub(PipelineExecutionServiceStub)
        with pytest.raises(RemoteMediaError, match="manifest") as caught:
            await stub.execute_pipeline(ExecuteRequest())
    error = caught.value
    assert error.error_type is ErrorType.VALIDATION
    assert (error.operation, error.address) == ("ExecutePipeline", local.address)
    assert error.request_id in str(error)


async def test_the_timeout_of_the_client_holds(local: LocalService) -> None:
    left_s: list[float] = []

    async def intercept(call: CallDetails, next: Next) -> object:
        assert call.deadline is not None
        left_s.append(call.deadline.time_remaining())
        return await next(call)

    async with RemoteMediaClient(
        local.address, timeout=500, interceptors=[intercept]
    ) as client:
        stub = client.stub(PipelineExecutionServiceStub)
        await stub.get_version(VersionRequest())
        await stub.get_version(VersionRequest(), timeout=100)
        assert 400 < left_s[-2] <= 500
        assert 0 < left_s[-1] <= 100
        local.add_fault(Fault.delay(60, method="GetVersion"))
        with pytest.raises(RemoteMediaTimeoutError):
            await stub.get_version(VersionRequest(), timeout=0.02)


async def test_a_stub_is_made_before_the_client_connects(local: LocalService) -> None:
    client = RemoteMediaClient(local.address)
    stub = client.stub(PipelineExecutionServiceStub)
    for _ in range(2):
        with pytest.raises(RemoteMediaConnectionError, match="not connected"):
            await stub.get_version(VersionRequest())
        async with client:
            assert await stub.get_version(VersionRequest())


async def test_only_idempotent_calls_are_made_again(local: LocalService) -> None:
    policy = RetryPolicy(initial_backoff_s=1e-6)
    fault = Fault.status(Status.UNAVAILABLE, "busy", method="GetVersion")
    async with RemoteMediaClient(local.address, retry=policy) as client:
        local.add_fault(fault)
        with pytest.raises(RemoteMediaError, match="busy") as caught:
            await client.stub(PipelineExecutionServiceStub).get_version(
                VersionRequest()
            )
        assert not caught.value.retryable
        local.add_fault(fault)
        stub = client.stub(PipelineExecutionServiceStub, idempotent=True)
        assert await stub.get_version(VersionRequest())


async def test_interceptors_run_around_the_calls(local: LocalService) -> None:
    seen: list[CallDetails] = []

    async def intercept(call: CallDetails, next: Next) -> object:
        seen.append(call)
        return await next(call)

    async with RemoteMediaClient(local.address, interceptors=[intercept]) as client:
        await client.stub(PipelineExecutionServiceStub).get_version(VersionRequest())
    assert [call.operation for call in seen] == ["connect", "GetVersion"]


async def test_a_stream_has_one_record_and_its_errors(local: LocalService) -> None:
    records: list[CallRecord] = []
    async with RemoteMediaClient(local.address, on_call_end=records.append) as client:
        stub = client.stub(StreamingPipelineServiceStub)
        responses = stub.stream_pipeline(whole_session())
        names = [response.which_oneof("response") async for response in responses]
        assert names == ["ready", "closed"]
        assert (records[-1].operation, records[-1].status) == (
            "StreamPipeline",
            Status.OK,
        )
        local.add_fault(Fault.status(Status.ABORTED, "gone", method="StreamPipeline"))
        with pytest.raises(RemoteMediaError, match="gone") as caught:
            async for _ in stub.stream_pipeline(whole_session()):
                pass
    assert caught.value.operation == "StreamPipeline"
    assert len(records) == 3
    assert (records[-1].status, records[-1].request_id) == (
        Status.ABORTED,
        caught.value.request_id,
    )


async def test_a_stream_that_is_left_was_cancelled(local: LocalService) -> None:
    records: list[CallRecord] = []

    async def waiting() -> AsyncIterator[StreamRequest]:
        yield StreamRequest(
            init=StreamInit(manifest=to_manifest(PASS), client_version="v1")
        )
        await asyncio.Event().wait()

    async with RemoteMediaClient(local.address, on_call_end=records.append) as client:
        stub = client.stub(StreamingPipelineServiceStub)
        async with aclosing(stub.stream_pipeline(waiting())) as responses:
            await anext(responses)
            assert not responses.is_over
        assert responses.is_over
        assert records[-1].status is Status.CANCELLED
        async for _ in stub.stream_pipeline(waiting()):
            break
        gc.collect()
        await until(lambda: len(records) == 3)
        assert records[-1].status is Status.CANCELLED


async def test_waiting_for_a_response_can_be_cancelled_and_repeated(
    local: LocalService,
) -> None:
    local.add_fault(Fault.delay(0.05, method="StreamPipeline"))
    async with RemoteMediaClient(local.address) as client:
        stub = client.stub(StreamingPipelineServiceStub)
        async with aclosing(stub.stream_pipeline(whole_session())) as responses:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(responses.read(), 0.01)
            first = await responses.read()
            assert first is not None
            assert first.which_oneof("response") == "ready"


async def test_the_other_shapes_of_calls() -> None:
    def script(exchange: Exchange) -> None:
        exchange.headers()
        exchange.message(READY if exchange.path == PATH else VERSION)
        exchange.trailers()

    async with (
        h2_peer(script) as port,
        RemoteMediaClient(f"127.0.0.1:{port}") as client,
    ):
        caller = client.stub(PipelineExecutionServiceStub)._caller
        assert isinstance(caller, ClientCaller)
        own = CallArguments(timeout=5)
        single = await caller.stream_unary(
            "/a.B/C", iter([VersionRequest()]), VersionResponse, own
        )
        assert single.compatible
        responses = caller.unary_stream(PATH, StreamRequest(), StreamResponse, own)
        assert [r.ready.session_id async for r in responses] == ["s"]


async def test_a_stream_of_a_client_that_is_not_connected() -> None:
    stub = RemoteMediaClient("localhost:1").stub(StreamingPipelineServiceStub)
    with pytest.raises(RemoteMediaConnectionError, match="not connected"):
        stub.stream_pipeline(no_input())


@pytest.mark.parametrize("cls", [None, int, Channel, "GreeterStub"])
def test_only_a_stub_is_a_stub(cls: Any) -> None:
    with pytest.raises(TypeError, match="cls must be the class of a generated stub"):
        RemoteMediaClient("localhost:1").stub(cls)
