"""Interceptors around calls with one response, over generated stubs."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pytest
from grpclib.const import Status

from remotemedia.grpc import CallDetails, CallError, Channel, Metadata, Next
from remotemedia.grpc.interceptors import around, check_interceptors
from remotemedia.testing import LocalService
from remotemedia.v1 import (
    ExecuteRequest,
    PipelineExecutionServiceStub,
    StreamingPipelineServiceStub,
    VersionRequest,
    VersionResponse,
)
from tests.support.calls import VERSION
from tests.support.peers import Exchange, h2_peer

DETAILS = CallDetails(
    method="/a.B/C",
    address="localhost:1",
    metadata=Metadata.of({"a": "1"}),
    deadline=None,
    request=None,
    is_stream=False,
)


def answer(exchange: Exchange) -> None:
    exchange.headers()
    exchange.message(VERSION)
    exchange.trailers()


async def test_interceptors_run_in_order_around_the_call(local: LocalService) -> None:
    log: list[str] = []

    def tracing(name: str) -> Any:
        async def intercept(call: CallDetails, next: Next) -> object:
            log.append(f"{name} begins")
            response = await next(call)
            log.append(f"{name} ends")
            return response

        return intercept

    async with Channel(local.address) as channel:
        stub = PipelineExecutionServiceStub(
            channel, interceptors=[tracing("outer"), tracing("inner")]
        )
        answer = await stub.get_version(VersionRequest(client_version="v1"))
    assert answer.compatible
    assert log == ["outer begins", "inner begins", "inner ends", "outer ends"]


async def test_an_interceptor_sees_the_facts_of_the_call(local: LocalService) -> None:
    seen: list[CallDetails] = []

    async def intercept(call: CallDetails, next: Next) -> object:
        seen.append(call)
        return await next(call)

    request = VersionRequest(client_version="v1")
    async with Channel(local.address) as channel:
        stub = PipelineExecutionServiceStub(
            channel, metadata={"a": "1"}, interceptors=[intercept]
        )
        await stub.get_version(request, timeout=5, metadata={"b": "2"})
    (call,) = seen
    assert call.method == "/remotemedia.v1.PipelineExecutionService/GetVersion"
    assert call.address == local.address
    assert call.metadata == (("a", "1"), ("b", "2"))
    assert call.request is request
    assert call.deadline is not None
    assert 0 < call.deadline.time_remaining() <= 5
    assert (call.is_stream, call.operation, call.request_id) == (False, "", "")


async def test_an_interceptor_that_is_not_async_is_refused(local: LocalService) -> None:
    def intercept(call: CallDetails, next: Next) -> object:
        return call

    options: Any = {"interceptors": [intercept]}
    async with Channel(local.address) as channel:
        stub = PipelineExecutionServiceStub(channel, **options)
        with pytest.raises(TypeError, match=r"must be async: .*`async def`"):
            await stub.get_version(VersionRequest())
        streaming = StreamingPipelineServiceStub(channel, **options)
        with pytest.raises(TypeError, match="must be async"):
            await streaming.stream_pipeline([]).read()


async def test_an_interceptor_never_sees_the_authorization() -> None:
    log: list[Any] = []
    seen: list[Metadata] = []

    async def intercept(call: CallDetails, next: Next) -> object:
        seen.append(call.metadata)
        return await next(call.with_metadata({"x": "1"}))

    async with h2_peer(answer, log) as port, Channel(f"127.0.0.1:{port}") as channel:
        stub = PipelineExecutionServiceStub(channel, interceptors=[intercept])
        await stub.get_version(
            VersionRequest(), metadata={"authorization": "Bearer t", "b": "2"}
        )
    assert seen == [(("b", "2"),)]
    headers = dict(next(event.headers for event in log if hasattr(event, "headers")))
    assert headers["authorization"] == "Bearer t"
    assert (headers["b"], headers["x"]) == ("2", "1")


async def test_an_authorization_of_an_interceptor_counts() -> None:
    log: list[Any] = []

    async def intercept(call: CallDetails, next: Next) -> object:
        return await next(call.with_metadata({"authorization": "Bearer new"}))

    async with h2_peer(answer, log) as port, Channel(f"127.0.0.1:{port}") as channel:
        stub = PipelineExecutionServiceStub(channel, interceptors=[intercept])
        await stub.get_version(
            VersionRequest(), metadata={"authorization": "Bearer old"}
        )
    headers = next(event.headers for event in log if hasattr(event, "headers"))
    assert [value for key, value in headers if key == "authorization"] == ["Bearer new"]


async def test_an_interceptor_may_change_the_request(local: LocalService) -> None:
    async def intercept(call: CallDetails, next: Next) -> object:
        request = VersionRequest(client_version="v1")
        return await next(dataclasses.replace(call, request=request))

    async with Channel(local.address) as channel:
        stub = PipelineExecutionServiceStub(channel, interceptors=[intercept])
        answer = await stub.get_version(VersionRequest(client_version="v9"))
    assert answer.compatible


async def test_an_interceptor_may_answer_itself() -> None:
    async def intercept(call: CallDetails, next: Next) -> object:
        return VersionResponse(compatibility_message="cached")

    stub = PipelineExecutionServiceStub(
        Channel("localhost:1"), interceptors=[intercept]
    )
    answer = await stub.get_version(VersionRequest())
    assert answer.compatibility_message == "cached"


async def test_an_interceptor_may_make_the_call_again(local: LocalService) -> None:
    failures: list[CallError] = []

    async def intercept(call: CallDetails, next: Next) -> object:
        try:
            return await next(dataclasses.replace(call, request=ExecuteRequest()))
        except CallError as error:
            failures.append(error)
            return await next(call)

    async with Channel(local.address) as channel:
        stub = PipelineExecutionServiceStub(channel, interceptors=[intercept])
        with pytest.raises(CallError) as caught:
            await stub.execute_pipeline(ExecuteRequest(client_version="v9"))
    assert failures[0].status is Status.INVALID_ARGUMENT
    assert caught.value.status is Status.FAILED_PRECONDITION


async def test_what_an_interceptor_raises_is_raised(local: LocalService) -> None:
    error = KeyError("no tenant")

    async def intercept(call: CallDetails, next: Next) -> object:
        raise error

    async with Channel(local.address) as channel:
        stub = PipelineExecutionServiceStub(channel, interceptors=[intercept])
        with pytest.raises(KeyError) as caught:
            await stub.get_version(VersionRequest())
    assert caught.value is error


@pytest.mark.parametrize("value", [None, "text", VersionRequest()])
async def test_an_interceptor_must_return_a_response(value: object) -> None:
    async def intercept(call: CallDetails, next: Next) -> object:
        return value

    stub = PipelineExecutionServiceStub(
        Channel("localhost:1"), interceptors=[intercept]
    )
    with pytest.raises(TypeError, match=r"GetVersion returned \w+; it must return"):
        await stub.get_version(VersionRequest())


async def test_an_interceptor_is_bounded_by_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("remotemedia.grpc.caller.GRACE_S", 0.01)
    cancelled = False

    async def intercept(call: CallDetails, next: Next) -> object:
        nonlocal cancelled
        try:
            return await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled = True
            raise

    stub = PipelineExecutionServiceStub(
        Channel("localhost:1"), timeout=0.01, interceptors=[intercept]
    )
    with pytest.raises(CallError, match="interceptors were not done") as caught:
        await stub.get_version(VersionRequest())
    assert caught.value.status is Status.DEADLINE_EXCEEDED
    assert cancelled


async def test_a_cancelled_call_cancels_its_interceptors() -> None:
    entered = asyncio.Event()
    log: list[str] = []

    async def intercept(call: CallDetails, next: Next) -> object:
        entered.set()
        try:
            return await asyncio.Event().wait()
        except asyncio.CancelledError:
            log.append("cancelled")
            raise

    stub = PipelineExecutionServiceStub(
        Channel("localhost:1"), interceptors=[intercept]
    )
    task = asyncio.create_task(stub.get_version(VersionRequest()))
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert log == ["cancelled"]


async def test_metadata_is_checked_where_it_is_added() -> None:
    assert DETAILS.with_metadata({"b": "2"}).metadata == (("a", "1"), ("b", "2"))
    assert DETAILS.with_metadata({"a": "2"}).metadata == (("a", "2"),)
    with pytest.raises(ValueError, match="lower-case"):
        DETAILS.with_metadata({"B": "2"})


@pytest.mark.parametrize("interceptors", [None, 1, ["x"], print])
def test_interceptors_are_a_list_of_functions(interceptors: Any) -> None:
    with pytest.raises(TypeError, match="interceptors must be a list of async"):
        check_interceptors(interceptors)


async def test_without_interceptors_only_the_call_is_made() -> None:
    async def make_call(call: CallDetails) -> object:
        return "made"

    assert around((), make_call) is make_call
    assert await around((), make_call)(DETAILS) == "made"
