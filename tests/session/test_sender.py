"""What a session sends, and when, without a call: requests in order, and checks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

import pytest

from remotemedia import AudioBuffer, ErrorType, NodeManifest, RemoteMediaError
from remotemedia.contracts.audio import AudioContract
from remotemedia.operation import Operation
from remotemedia.session.machine import Event, Session, State
from remotemedia.session.messages import StreamMessages
from remotemedia.session.outbox import Outbox
from remotemedia.session.sender import Sender
from remotemedia.session.source import ChunkSource, Source
from remotemedia.v1 import (
    AudioChunk,
    PipelineManifest,
    StreamControlCommand,
    StreamInit,
    StreamRequest,
)
from tests.support.pipelines import tone

INIT = StreamInit(manifest=PipelineManifest(nodes=[NodeManifest(id="src")]))


class Sending:
    """A sender, its session, and what it has sent."""

    def __init__(
        self,
        source: ChunkSource | None = None,
        *,
        max_in_flight: int | None = None,
        max_send_bytes: int | None = None,
        messages: StreamMessages | None = None,
    ) -> None:
        self.session = Session()
        self.outbox = Outbox(100)
        self.operation = Operation("test", "here")
        self.sender = Sender(
            StreamRequest(init=INIT),
            ["src"],
            messages or AudioContract(),
            operation=self.operation,
            outbox=self.outbox,
            source=None if source is None else Source(source),
            max_in_flight=max_in_flight,
            max_send_bytes=max_send_bytes,
        )
        self.requests: AsyncGenerator[StreamRequest, None] = self.sender.requests(
            self.session
        )

    async def open(self) -> None:
        """Send the init, and let the service be ready."""
        assert (await anext(self.requests)).init == INIT
        self.session.server_sends(Event.READY)
        self.sender.begin()

    async def sent(self) -> list[StreamRequest]:
        """What is sent without waiting for anything, from now on."""
        found: list[StreamRequest] = []
        while True:
            step = asyncio.ensure_future(anext(self.requests))
            for _ in range(5):
                await asyncio.sleep(0)
            if not step.done() or step.exception() is not None:
                step.cancel()
                await asyncio.wait({step})
                return found
            found.append(step.result())


async def test_the_init_and_then_nothing_before_the_service_is_ready() -> None:
    sending = Sending([("src", tone(16))])
    assert (await anext(sending.requests)).init == INIT
    assert sending.session.state is State.OPENING
    assert await sending.sent() == []


async def test_chunks_are_numbered_and_stamped() -> None:
    sending = Sending([("src", tone(64000)), ("src", tone(800)), ("src", tone(16), 2)])
    await sending.open()
    *chunks, last = await sending.sent()
    assert [c.audio_chunk.sequence for c in chunks] == [0, 1, 2]
    assert [c.audio_chunk.timestamp_ms for c in chunks] == [0, 4000, 4050]
    assert last.control.command is StreamControlCommand.COMMAND_CLOSE
    assert sending.session.state is State.CLOSING


@pytest.mark.parametrize(
    ("ending", "command"),
    [
        (Event.CLOSE, StreamControlCommand.COMMAND_CLOSE),
        (Event.CANCEL, StreamControlCommand.COMMAND_CANCEL),
    ],
)
async def test_chunks_of_the_outbox_and_then_the_end(
    ending: Event, command: StreamControlCommand
) -> None:
    sending = Sending()
    await sending.open()
    for _ in range(2):
        sending.outbox.put("src", (tone(16), 32, 0.001))
    sending.session.ending = ending
    *chunks, last = await sending.sent()
    assert len(chunks) == 2
    assert last.control.command is command


async def test_nothing_is_sent_after_the_service_ended_the_session() -> None:
    sending = Sending([("src", tone(16))])
    await sending.open()
    sending.session.end()
    assert await sending.sent() == []
    sending = Sending()
    await sending.open()
    sending.session.end()
    assert await sending.sent() == []


async def test_a_chunk_that_comes_too_late_is_not_sent() -> None:
    sending: Sending

    async def audio() -> AsyncIterator[tuple[str, AudioBuffer]]:
        sending.session.end()
        yield "src", tone(16)

    sending = Sending(audio())
    await sending.open()
    assert await sending.sent() == []
    assert sending.session.chunks == 0
    assert sending.outbox.dropped == 1


async def test_the_operation_is_told_what_the_source_raised() -> None:
    error = LookupError("theirs")

    async def audio() -> AsyncIterator[tuple[str, AudioBuffer]]:
        raise error
        yield "src", tone(16)

    sending = Sending(audio())
    await sending.open()
    with pytest.raises(LookupError):
        await anext(sending.requests)
    assert sending.operation.iterable_error is error


@pytest.mark.parametrize(
    ("chunk", "text"),
    [
        ("text", "must yield"),
        (("src",), "must yield"),
        (("src", b""), "chunk 0 for node 'src' is bytes"),
        ((5, tone(16)), "chunk 0: a node id must be a str"),
    ],
)
async def test_what_is_no_chunk(chunk: object, text: str) -> None:
    sending = Sending([chunk])  # type: ignore[list-item]  # the mistake
    await sending.open()
    with pytest.raises(TypeError, match=text):
        await anext(sending.requests)


async def test_a_chunk_for_an_unknown_node() -> None:
    sending = Sending([("else", tone(16))])
    await sending.open()
    with pytest.raises(RemoteMediaError, match="chunk 0: no node 'else'"):
        await anext(sending.requests)


async def test_a_number_of_ones_own_must_be_the_next() -> None:
    sending = Sending([("src", tone(16), 5)])
    await sending.open()
    with pytest.raises(RemoteMediaError, match="chunk number 5 where 0 is next"):
        await anext(sending.requests)


async def test_chunks_wait_for_answers() -> None:
    sending = Sending([("src", tone(16))] * 6, max_in_flight=2)
    await sending.open()
    step = asyncio.ensure_future(read(sending.requests, 6))
    await turns()
    for sequence in range(4):
        assert sending.session.chunks == 2 + sequence
        assert not step.done()
        sending.sender.on_result(sending.session, sequence)
        await turns()
    assert len(await step) == 6


class Settling(AudioContract):
    """A set of messages whose service loses what it has not answered."""

    settle_s = 60.0


async def test_the_last_answers_come_before_the_end_where_it_would_lose_them() -> None:
    sending = Sending([("src", tone(16))] * 2, messages=Settling())
    await sending.open()
    assert len(await read(sending.requests, 2)) == 2
    step = asyncio.ensure_future(anext(sending.requests))
    await turns()
    assert not step.done()
    sending.sender.on_result(sending.session, 0)
    await turns()
    assert not step.done()
    sending.sender.on_result(sending.session, 1)
    assert (await step).control.command is StreamControlCommand.COMMAND_CLOSE


async def test_answers_that_do_not_come_are_waited_for_in_vain_only_a_while() -> None:
    messages = Settling()
    messages.settle_s = 0.01
    sending = Sending([("src", tone(16))], messages=messages)
    await sending.open()
    _, last = await read(sending.requests, 2)
    assert last.control.command is StreamControlCommand.COMMAND_CLOSE


async def test_what_is_never_answered_takes_no_memory_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("remotemedia.session.sender._MOST_UNANSWERED", 3)
    sending = Sending([("src", tone(16))] * 10)
    await sending.open()
    assert len(await read(sending.requests, 10)) == 10
    assert sending.sender.on_result(sending.session, 5) is None
    assert sending.sender.on_result(sending.session, 8) is not None
    assert sending.sender.on_result(sending.session, 9) is not None


async def test_ending_by_cancel_does_not_wait_for_answers() -> None:
    sending = Sending([("src", tone(16))] * 6, max_in_flight=2)
    await sending.open()
    step = asyncio.ensure_future(read(sending.requests, 3))
    await turns()
    assert not step.done()
    sending.session.ending = Event.CANCEL
    sending.sender.stop()
    last = (await step)[-1]
    assert last.control.command is StreamControlCommand.COMMAND_CANCEL


async def read(
    requests: AsyncGenerator[StreamRequest, None], count: int
) -> list[StreamRequest]:
    return [await anext(requests) for _ in range(count)]


async def turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_answers_say_how_long_they_took() -> None:
    sending = Sending([("src", tone(16))] * 4)
    on_result = sending.sender.on_result
    await sending.open()
    assert on_result(sending.session, 0) is None
    await read(sending.requests, 4)
    assert on_result(sending.session, 0) is not None
    assert on_result(sending.session, 0) is None
    # One is skipped.
    seconds = on_result(sending.session, 2)
    assert seconds is not None
    assert 0 <= seconds < 60
    assert on_result(sending.session, 1) is None
    assert on_result(sending.session, 2) is None
    assert on_result(sending.session, 3) is not None


@pytest.mark.parametrize(("frames", "fits"), [(1000, True), (1001, False)])
def test_the_limit_is_of_the_whole_request(frames: int, fits: bool) -> None:
    async def check() -> None:
        largest = AudioChunk(node_id="src", buffer=tone(1000), sequence=2**63)
        limit = len(StreamRequest(audio_chunk=largest))
        sending = Sending(max_send_bytes=limit)
        if fits:
            sending.sender.checked("src", tone(frames), "it")
            return
        with pytest.raises(RemoteMediaError, match=f"over the limit of {limit}") as e:
            sending.sender.checked("src", tone(frames), "it")
        assert e.value.error_type is ErrorType.RESOURCE_LIMIT
        assert e.value.failing_node_id == "src"

    asyncio.run(check())


async def test_no_limit() -> None:
    Sending().sender.checked("src", tone(10_000), "it")
