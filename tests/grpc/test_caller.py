"""What stands behind a stub: its options, and whom it tells of attempts."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
from grpclib.const import Status

from remotemedia.grpc import Call, CallDetails, CallError, Channel, Next, RetryPolicy
from remotemedia.grpc.caller import Caller, CallOptions
from remotemedia.grpc.metadata import Metadata
from remotemedia.grpc.retry import Retries
from remotemedia.testing import Fault, LocalService
from remotemedia.v1 import (
    PipelineExecutionServiceStub,
    StreamRequest,
    StreamResponse,
    VersionRequest,
    VersionResponse,
)
from tests.support.calls import READY, VERSION
from tests.support.peers import Exchange, h2_peer

GET_VERSION = "/remotemedia.v1.PipelineExecutionService/GetVersion"
PATH = "/any.Service/Method"


class Watching:
    """Notes what the caller tells of a call."""

    name = "operation"
    request_id = "id"

    def __init__(self) -> None:
        self.log: list[Any] = []

    def on_call(self, method: str) -> None:
        self.log.append(method)

    def on_attempt(self, call: Call[Any, Any]) -> None:
        self.log.append(call)

    def on_retry(self, error: CallError, delay_s: float) -> None:
        self.log.append((error.status, delay_s))


async def at_once(delay_s: float) -> None:
    pass


async def version(caller: Caller) -> VersionResponse:
    return await caller.unary_unary(GET_VERSION, VersionRequest(), VersionResponse)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"interceptors": (1,)}, TypeError, "interceptors must be a list of async"),
        ({"retry": 3}, TypeError, r"retry must be a remotemedia.grpc.RetryPolicy"),
        ({"max_send_bytes": 0}, ValueError, "max_send_bytes must be positive"),
    ],
)
async def test_options_are_checked(
    arguments: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        CallOptions(**arguments)
    with pytest.raises(error, match=text):
        PipelineExecutionServiceStub(Channel("localhost:1"), **arguments)


def test_the_options_do_not_show_metadata() -> None:
    options = CallOptions(metadata=Metadata.of({"x": "secret"}))
    assert "secret" not in repr(options)


async def test_every_attempt_and_retry_is_told(local: LocalService) -> None:
    local.add_fault(Fault.status(Status.UNAVAILABLE, "busy", method="GetVersion"))
    watcher = Watching()
    policy = RetryPolicy()
    async with Channel(local.address) as channel:
        retries = Retries(policy, channel, sleep=at_once, uniform=lambda low, high: low)
        caller = Caller(channel, CallOptions(), watcher, retries)
        await version(caller)
    first, told, second = watcher.log
    assert told == (Status.UNAVAILABLE, 0.0)
    assert (first.path, second.path) == (GET_VERSION, GET_VERSION)
    assert first is not second
    assert (first.sent_messages, first.received_messages) == (1, 0)
    assert (second.sent_messages, second.received_messages) == (1, 1)
    # An empty message has its prefix alone.
    assert second.sent_bytes == 5
    assert second.received_bytes > 5


async def test_a_stub_with_a_policy_makes_calls_again(local: LocalService) -> None:
    local.add_fault(Fault.status(Status.UNAVAILABLE, "busy", method="GetVersion"))
    policy = RetryPolicy(initial_backoff_s=1e-6)
    async with Channel(local.address) as channel:
        stub = PipelineExecutionServiceStub(channel, retry=policy)
        assert (await stub.get_version(VersionRequest())).compatible


async def test_a_stub_without_a_policy_does_not(local: LocalService) -> None:
    local.add_fault(Fault.status(Status.UNAVAILABLE, "busy", method="GetVersion"))
    async with Channel(local.address) as channel:
        stub = PipelineExecutionServiceStub(channel)
        with pytest.raises(CallError, match="busy"):
            await stub.get_version(VersionRequest())


async def test_the_watcher_names_the_call_to_interceptors(local: LocalService) -> None:
    seen: list[CallDetails] = []

    async def intercept(call: CallDetails, next: Next) -> object:
        seen.append(call)
        return await next(call)

    watcher = Watching()
    async with Channel(local.address) as channel:
        options = CallOptions(interceptors=(intercept,))
        await version(Caller(channel, options, watcher))
    assert (seen[0].operation, seen[0].request_id) == ("operation", "id")
    assert watcher.log[0] == GET_VERSION


async def requests() -> AsyncIterator[StreamRequest]:
    yield StreamRequest()
    yield StreamRequest()


async def test_many_requests_and_one_response() -> None:
    def script(exchange: Exchange) -> None:
        exchange.headers()
        exchange.message(VERSION)
        exchange.trailers()

    watcher = Watching()
    async with h2_peer(script) as port, Channel(f"127.0.0.1:{port}") as channel:
        caller = Caller(channel, CallOptions(), watcher)
        answer = await caller.stream_unary(PATH, requests(), VersionResponse)
    assert answer.compatible
    assert [call.path for call in watcher.log if isinstance(call, Call)] == [PATH]


async def test_one_request_and_many_responses() -> None:
    def script(exchange: Exchange) -> None:
        exchange.headers()
        exchange.message(READY, READY)
        exchange.trailers()

    watcher = Watching()
    async with h2_peer(script) as port, Channel(f"127.0.0.1:{port}") as channel:
        caller = Caller(channel, CallOptions(), watcher)
        responses = caller.unary_stream(PATH, StreamRequest(), StreamResponse)
        async with aclosing(responses):
            assert len([response async for response in responses]) == 2
    (call,) = watcher.log
    assert (call.sent_messages, call.received_messages) == (1, 2)
    assert call.received_bytes == 2 * (5 + len(READY))


async def test_what_an_interceptor_makes_of_the_metadata_is_checked() -> None:
    async def intercept(call: CallDetails, next: Next) -> object:
        changed: Any = ["no pair"]
        return await next(dataclasses.replace(call, metadata=changed))

    async with Channel("127.0.0.1:1") as channel:
        caller = Caller(channel, CallOptions(interceptors=(intercept,)))
        with pytest.raises(TypeError, match="metadata must have pairs"):
            await version(caller)
