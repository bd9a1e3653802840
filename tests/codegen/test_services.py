"""Generated server bases, called as grpclib calls them, and generated stubs."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator
from typing import Any

import grpclib
import grpclib.const
import pytest

from remotemedia.grpc import Channel

pytestmark = pytest.mark.usefixtures("generated")


def kinds() -> Any:
    """Import the generated package, which has no static types here."""
    return importlib.import_module("fixtures.kinds")


def shapes() -> Any:
    return importlib.import_module("fixtures.shapes")


class Stream:
    """A call at the server: requests to receive, and responses that were sent."""

    def __init__(self, *requests: Any, fail_after: int | None = None) -> None:
        self.requests = list(requests)
        self.responses: list[Any] = []
        self.fail_after = fail_after

    async def recv_message(self) -> Any:
        return self.requests.pop(0) if self.requests else None

    async def send_message(self, message: Any) -> None:
        if len(self.responses) == self.fail_after:
            raise ConnectionResetError
        self.responses.append(message)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._all()

    async def _all(self) -> AsyncIterator[Any]:
        while self.requests:
            yield self.requests.pop(0)


async def serve(service: Any, method: str, stream: Stream) -> list[Any]:
    handler = service.__mapping__()[f"/fixtures.kinds.Calls/{method}"]
    await handler.func(stream)
    return stream.responses


def test_the_mapping_has_routes_cardinalities_and_types() -> None:
    mapping = kinds().CallsBase().__mapping__()
    cardinality = grpclib.const.Cardinality
    assert {route: entry.cardinality for route, entry in mapping.items()} == {
        "/fixtures.kinds.Calls/One": cardinality.UNARY_UNARY,
        "/fixtures.kinds.Calls/Many": cardinality.UNARY_STREAM,
        "/fixtures.kinds.Calls/Gather": cardinality.STREAM_UNARY,
        "/fixtures.kinds.Calls/Talk": cardinality.STREAM_STREAM,
        "/fixtures.kinds.Calls/Timeout": cardinality.UNARY_UNARY,
    }
    one = mapping["/fixtures.kinds.Calls/One"]
    assert (one.request_type, one.reply_type) == (kinds().Kinds, shapes().Shape)


@pytest.mark.parametrize("method", ["One", "Many", "Gather", "Talk", "Timeout"])
async def test_a_method_that_is_not_overridden_is_unimplemented(method: str) -> None:
    with pytest.raises(grpclib.GRPCError) as caught:
        await serve(kinds().CallsBase(), method, Stream(kinds().Kinds()))
    assert caught.value.status is grpclib.Status.UNIMPLEMENTED


async def test_calls_of_every_cardinality_are_answered() -> None:
    shape = shapes().Shape

    class Calls(kinds().CallsBase):  # type: ignore[misc]  # generated
        async def one(self, request: Any) -> Any:
            return shape(name=request.text)

        async def many(self, request: Any) -> AsyncIterator[Any]:
            for letter in request.text:
                yield shape(name=letter)

        async def gather(self, requests: AsyncIterator[Any]) -> Any:
            return [request.text async for request in requests]

        async def talk(self, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
            async for request in requests:
                yield request

    text = kinds().Kinds(text="ab")
    both = [shape(name="a"), shape(name="b")]
    assert await serve(Calls(), "One", Stream(text)) == [shape(name="ab")]
    assert await serve(Calls(), "Many", Stream(text)) == both
    assert await serve(Calls(), "Gather", Stream(text, text)) == [["ab", "ab"]]
    assert await serve(Calls(), "Talk", Stream(text, text)) == [text, text]


@pytest.mark.parametrize("method", ["One", "Many"])
async def test_a_call_without_its_request_is_refused(method: str) -> None:
    with pytest.raises(grpclib.GRPCError, match="no request message"):
        await serve(kinds().CallsBase(), method, Stream())


@pytest.mark.parametrize("method", ["many", "talk"])
async def test_the_generator_is_closed_if_a_call_breaks_off(method: str) -> None:
    closed = []

    async def answer(self: Any, _: Any) -> AsyncIterator[Any]:
        try:
            while True:
                yield kinds().Kinds()
        finally:
            closed.append(method)

    service = type("Calls", (kinds().CallsBase,), {method: answer})()
    stream = Stream(kinds().Kinds(), fail_after=2)
    with pytest.raises(ConnectionResetError):
        await serve(service, method.capitalize(), stream)
    assert closed == [method]


async def test_a_method_may_be_called_like_an_option_of_the_stub() -> None:
    stub = kinds().CallsStub(Channel("localhost:1"), timeout=5.0)
    assert callable(stub.timeout)
