"""Tokens that a function fetches: when it is called, for whom, and what it may do."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import pickle
import threading
from collections.abc import Awaitable, Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from grpclib.const import Status
from grpclib.metadata import Deadline

from remotemedia.grpc import (
    CallDetails,
    Caller,
    CallError,
    CallOptions,
    Channel,
    Metadata,
    Token,
    TokenSource,
)
from remotemedia.v1 import StreamRequest, StreamResponse
from tests.support.calls import READY
from tests.support.peers import Exchange, h2_peer
from tests.support.waiting import until

REJECTED = CallError(Status.UNAUTHENTICATED, "who are you?")


def details(
    *, request: object = "request", is_stream: bool = False, timeout: float = 60
) -> CallDetails:
    return CallDetails(
        method="/a.B/C",
        address="localhost:1",
        metadata=Metadata.of({"a": "1"}),
        deadline=Deadline.from_timeout(timeout),
        request=request,
        is_stream=is_stream,
    )


class Service:
    """Answers calls that have an accepted token, and notes what they brought."""

    def __init__(self, *accepted: str) -> None:
        self.accepted = accepted
        self.shown: list[str] = []

    async def __call__(self, call: CallDetails) -> object:
        shown = dict(call.metadata)["authorization"]
        assert isinstance(shown, str)
        self.shown.append(shown.removeprefix("Bearer "))
        await asyncio.sleep(0)
        if self.shown[-1] not in self.accepted:
            raise REJECTED
        return "answer"


class Tokens:
    """An async function that returns the next token each time."""

    def __init__(self, *tokens: str | Token) -> None:
        self.tokens = list(tokens)
        self.calls = 0

    async def __call__(self) -> str | Token:
        self.calls += 1
        await asyncio.sleep(0)
        return self.tokens[min(self.calls, len(self.tokens)) - 1]


async def test_the_token_is_fetched_once_and_kept() -> None:
    tokens, service = Tokens("t1"), Service("t1")
    source = TokenSource(tokens)
    for _ in range(3):
        assert await source.intercept(details(), service) == "answer"
    assert (tokens.calls, service.shown) == (1, ["t1"] * 3)


async def test_a_plain_function_runs_in_a_thread() -> None:
    threads: list[int] = []

    def token() -> str:
        threads.append(threading.get_ident())
        return "t1"

    assert await TokenSource(token).intercept(details(), Service("t1")) == "answer"
    assert threads != [threading.get_ident()]


async def test_a_plain_function_may_return_an_awaitable() -> None:
    tokens = Tokens("t1")
    source = TokenSource(lambda: tokens())
    assert await source.intercept(details(), Service("t1")) == "answer"


async def test_a_rejected_token_is_replaced_once() -> None:
    tokens, service = Tokens("old", "new"), Service("new")
    source = TokenSource(tokens)
    assert await source.intercept(details(), service) == "answer"
    assert service.shown == ["old", "new"]
    assert await source.intercept(details(), service) == "answer"
    assert tokens.calls == 2


async def test_a_service_that_rejects_every_token_is_asked_twice() -> None:
    tokens, service = Tokens("a", "b", "c", "d"), Service()
    source = TokenSource(tokens)
    with pytest.raises(CallError) as caught:
        await source.intercept(details(), service)
    assert caught.value is REJECTED
    assert service.shown == ["a", "b"]
    # The next call does not begin with a token that was rejected.
    with pytest.raises(CallError):
        await source.intercept(details(), service)
    assert service.shown == ["a", "b", "c", "d"]


async def test_other_failures_do_not_replace_the_token() -> None:
    tokens = Tokens("t1")
    source = TokenSource(tokens)

    async def failing(call: CallDetails) -> object:
        raise CallError(Status.PERMISSION_DENIED, "no")

    for _ in range(2):
        with pytest.raises(CallError):
            await source.intercept(details(), failing)
    assert tokens.calls == 1


async def test_a_stream_of_requests_is_not_made_again() -> None:
    tokens, service = Tokens("old", "new"), Service("new")
    source = TokenSource(tokens)
    stream = details(request=None, is_stream=True)
    with pytest.raises(CallError):
        await source.intercept(stream, service)
    assert service.shown == ["old"]
    # Whoever opens it again has a new token.
    assert await source.intercept(stream, service) == "answer"
    assert service.shown == ["old", "new"]


async def test_a_call_with_an_authorization_of_its_own_is_left_alone() -> None:
    tokens, service = Tokens("t1"), Service("own")
    call = details().with_metadata({"authorization": "Bearer own"})
    assert await TokenSource(tokens).intercept(call, service) == "answer"
    assert tokens.calls == 0


async def test_many_callers_share_one_fetch() -> None:
    tokens, service = Tokens("old", "new"), Service("new")
    source = TokenSource(tokens)
    answers = await asyncio.gather(
        *(source.intercept(details(), service) for _ in range(20))
    )
    assert answers == ["answer"] * 20
    assert tokens.calls == 2


async def test_a_late_rejection_of_an_old_token_fetches_nothing() -> None:
    tokens = Tokens("old", "new")
    source = TokenSource(tokens)
    held, release = asyncio.Event(), asyncio.Event()

    async def slow(call: CallDetails) -> object:
        if ("authorization", "Bearer old") in call.metadata:
            held.set()
            await release.wait()
            raise REJECTED
        return "slow answer"

    late = asyncio.create_task(source.intercept(details(), slow))
    await held.wait()
    await source.intercept(details(), Service("new"))
    release.set()
    assert await late == "slow answer"
    assert tokens.calls == 2


# -- expiry


class Time:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("lifetime_s", "kept_s"), [(3600, 3600 - 30.5), (100, 100 - 10.5), (1, 0.89)]
)
async def test_a_token_is_replaced_before_it_expires(
    lifetime_s: float, kept_s: float
) -> None:
    clock = Time()
    tokens = Tokens(Token("a", clock.now + lifetime_s), Token("b", clock.now + 9e9))
    source, service = TokenSource(tokens, clock=clock), Service("a", "b")
    await source.intercept(details(), service)
    clock.now += kept_s
    await source.intercept(details(), service)
    assert service.shown == ["a", "a"]
    clock.now += 1
    await source.intercept(details(), service)
    assert service.shown == ["a", "a", "b"]


async def test_a_token_that_has_expired_already_is_used_once() -> None:
    clock = Time()
    tokens = Tokens(Token("a", clock.now - 5))
    source, service = TokenSource(tokens, clock=clock), Service("a")
    await source.intercept(details(), service)
    await source.intercept(details(), service)
    assert tokens.calls == 2


# -- what goes wrong


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (
            None,
            TypeError,
            "must return a str or a remotemedia.grpc.Token, got NoneType",
        ),
        (b"secret", TypeError, "must return a str .* got bytes"),
        ("two words", ValueError, "token must be printable ASCII without spaces"),
        (Token("naïve-secret"), ValueError, "token must be printable ASCII"),
        ("", ValueError, "and not empty"),
    ],
)
async def test_a_function_must_return_a_token(
    value: Any, error: type[Exception], text: str
) -> None:
    source = TokenSource(Tokens(value))
    with pytest.raises(error, match=text) as caught:
        await source.intercept(details(), Service())
    assert "secret" not in str(caught.value)


async def test_a_token_that_expires_at_no_number_is_not_kept() -> None:
    at: Any = datetime.now(timezone.utc)
    tokens, service = Tokens(Token("secret", expires_at=at)), Service("secret")
    source = TokenSource(tokens)
    for _ in range(2):
        with pytest.raises(TypeError, match=r"expires_at .* got datetime"):
            await source.intercept(details(), service)
    assert service.shown == []


async def test_a_duration_is_no_point_in_time() -> None:
    source = TokenSource(Tokens(Token("secret", expires_at=3600)))
    with pytest.raises(ValueError, match=r"in 1970: .* time\.time\(\) \+ 3600"):
        await source.intercept(details(), Service("secret"))


async def test_what_the_function_raises_is_raised_and_nothing_is_kept() -> None:
    failures = [KeyError("vault"), OSError("net")]

    async def token() -> str:
        if failures:
            raise failures.pop(0)
        return "t1"

    source = TokenSource(token)
    with pytest.raises(KeyError, match="vault"):
        await source.intercept(details(), Service("t1"))
    with pytest.raises(OSError, match="net"):
        await source.intercept(details(), Service("t1"))
    assert await source.intercept(details(), Service("t1")) == "answer"


async def test_a_plain_function_that_raises_stop_iteration_does_not_hang() -> None:
    source = TokenSource(iter(["t1"]).__next__)
    assert await source.intercept(details(), Service("t1")) == "answer"
    source = TokenSource(iter(()).__next__)
    with pytest.raises(RuntimeError, match="raised StopIteration"):
        await source.intercept(details(), Service())


async def test_a_function_that_takes_too_long_is_cancelled() -> None:
    cancelled = asyncio.Event()

    async def token() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return ""

    source = TokenSource(token)
    with pytest.raises(
        CallError, match="token function did not return in time"
    ) as caught:
        await source.intercept(details(timeout=0.01), Service())
    assert caught.value.status is Status.DEADLINE_EXCEEDED
    assert caught.value.unprocessed
    assert cancelled.is_set() or await asyncio.wait_for(cancelled.wait(), 5)


async def test_a_fetch_is_bounded_where_the_call_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("remotemedia.grpc.token._LONGEST_FETCH_S", 0.01)

    async def token() -> str:
        await asyncio.Event().wait()
        return ""

    call = dataclasses.replace(details(), deadline=None)
    with pytest.raises(CallError, match="token function did not return in time"):
        await TokenSource(token).intercept(call, Service())


async def begin(
    work: Callable[[], Awaitable[object]], count: int
) -> list[asyncio.Task[object]]:
    async def run() -> object:
        return await work()

    return [asyncio.create_task(run()) for _ in range(count)]


async def test_a_cancelled_caller_does_not_disturb_the_others() -> None:
    entered, release = asyncio.Event(), asyncio.Event()
    calls = 0

    async def token() -> str:
        nonlocal calls
        calls += 1
        entered.set()
        await release.wait()
        return "t1"

    source, service = TokenSource(token), Service("t1")
    tasks = await begin(lambda: source.intercept(details(), service), 3)
    await entered.wait()
    tasks[0].cancel()
    await until(tasks[0].done)
    release.set()
    assert await asyncio.gather(*tasks[1:]) == ["answer"] * 2
    assert calls == 1


async def test_the_fetch_ends_with_the_last_who_waits() -> None:
    entered, cancelled = asyncio.Event(), asyncio.Event()

    async def token() -> str:
        entered.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return ""

    source = TokenSource(token)
    tasks = await begin(lambda: source.intercept(details(), Service()), 2)
    await entered.wait()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    await asyncio.wait_for(cancelled.wait(), 5)
    # And the next call fetches anew.
    entered.clear()
    (task,) = await begin(lambda: source.intercept(details(), Service()), 1)
    await asyncio.wait_for(entered.wait(), 5)
    task.cancel()
    await asyncio.wait({task})


# -- secrecy


def test_a_token_hides_its_value() -> None:
    token = Token("hunter2", 5.0)
    assert repr(token) == "Token(expires_at=5.0)"
    for leak in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be pickled") as caught:
            leak(token)
        assert "hunter2" not in str(caught.value)


async def test_the_requests_of_a_stream_are_not_sent_again() -> None:
    """Also where there is one response to them."""
    tokens, service = Tokens("old", "new"), Service("new")
    with pytest.raises(CallError) as caught:
        await TokenSource(tokens).intercept(details(request=None), service)
    assert caught.value is REJECTED
    assert service.shown == ["old"]


async def test_a_stream_that_is_rejected_late_is_not_made_again() -> None:
    """As where its token expires after the first responses."""
    tokens, log = Tokens("old", "new"), []

    def script(exchange: Exchange) -> None:
        log.append(exchange.path)
        exchange.headers()
        exchange.message(READY)
        exchange.trailers(Status.UNAUTHENTICATED.value)

    async with h2_peer(script) as port, Channel(f"127.0.0.1:{port}") as channel:
        caller = Caller(channel, CallOptions(token=TokenSource(tokens)))
        responses = caller.unary_stream("/a.B/C", StreamRequest(), StreamResponse)
        assert await responses.read() is not None
        with pytest.raises(CallError) as caught:
            await responses.read()
        await responses.aclose()
    assert caught.value.status is Status.UNAUTHENTICATED
    assert log == ["/a.B/C"]
