"""The programs of docs/explanation/calls.md run, and the table of states is true."""

from __future__ import annotations

import ast
import re
import sys
import threading
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from grpclib.const import Status

from remotemedia import AudioBuffer, ExecutionResult, RemoteMediaClient
from remotemedia.grpc import RetryPolicy
from remotemedia.session.actions import ACTIONS, Action
from remotemedia.session.machine import State
from remotemedia.session.stream import MAX_UNREAD_BYTES
from remotemedia.testing import Fault, LocalService
from remotemedia.v1 import ExecuteResponse
from tests.support.calls import VERSION
from tests.support.peers import GRPC_HEADERS, Exchange, h2_peer
from tests.support.pipelines import pipeline, tone

DOCS = Path(__file__).resolve().parents[2] / "docs"
GUIDE = (DOCS / "explanation/calls.md").read_text()
STATES = (DOCS / "explanation/sessions.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
MANIFEST = pipeline("mic", "PassThrough")


class Microphone:
    """Endless or failing audio, and whether whoever took it has closed it."""

    def __init__(self, chunks: int | None = None, error: Exception | None = None):
        self.is_closed = False
        self._chunks = chunks
        self._error = error

    async def listen(self) -> AsyncGenerator[tuple[str, AudioBuffer], None]:
        async for buffer in self.buffers():
            yield "mic", buffer

    async def buffers(self) -> AsyncGenerator[AudioBuffer, None]:
        try:
            count = 0
            while count != self._chunks:
                yield tone()
                count += 1
            if self._error is not None:
                raise self._error
        finally:
            self.is_closed = True


@pytest_asyncio.fixture
async def client(address: str) -> Any:
    async with RemoteMediaClient(address) as client:
        yield client


def function(name: str) -> Any:
    """A function of the guide."""
    (block,) = [block for block in BLOCKS if f"def {name}(" in block]
    names: dict[str, Any] = {}
    exec(block, names)
    return names[name]


def test_every_function_of_the_guide_is_run_here() -> None:
    functions = {
        node.name
        for block in BLOCKS
        for node in ast.parse(block).body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }
    run = set(re.findall(r'function\("(\w+)"\)', Path(__file__).read_text()))
    assert functions == run | {"sequences", "fetch_token"}


async def test_a_source_is_listened_to(
    client: RemoteMediaClient, capsys: pytest.CaptureFixture[str]
) -> None:
    closed = await function("listen")(client, MANIFEST, Microphone(3).listen())
    assert closed is not None
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["0", "1", "2"]
    broken = Microphone(2, KeyError("unplugged"))
    with pytest.raises(KeyError, match="unplugged"):
        await function("listen")(client, MANIFEST, broken.listen())


@pytest.mark.skipif(sys.version_info < (3, 11), reason="it uses asyncio.TaskGroup")
async def test_chunks_are_sent_by_hand(
    client: RemoteMediaClient, capsys: pytest.CaptureFixture[str]
) -> None:
    closed = await function("send_by_hand")(client, MANIFEST, Microphone(3).buffers())
    assert closed is not None
    assert capsys.readouterr().out.split() == ["0", "1", "2"]
    broken = Microphone(2, KeyError("unplugged"))
    with pytest.raises(Exception, match="TaskGroup") as caught:
        await function("send_by_hand")(client, MANIFEST, broken.buffers())
    (inner,) = caught.value.exceptions  # type: ignore[attr-defined]  # an ExceptionGroup
    assert inner.args == ("unplugged",)


async def test_a_callback_sends_from_its_thread(client: RemoteMediaClient) -> None:
    async with client.open_stream(MANIFEST) as stream:
        callback = function("make_callback")(stream)
        array = np.zeros((1600, 1), np.float32)
        thread = threading.Thread(target=callback, args=(array, 1600, None, None))
        thread.start()
        result = await anext(stream)
        thread.join()
        assert result.audio().frames == 1600


async def test_streams_are_left_early(client: RemoteMediaClient) -> None:
    microphone = Microphone()
    chunks = await function("first_three")(client, MANIFEST, microphone.listen())
    assert [chunk.sequence for chunk in chunks] == [0, 1, 2]
    assert microphone.is_closed
    microphone = Microphone()
    first = await function("first_sequence")(client, MANIFEST, microphone.listen())
    assert first == 0
    assert microphone.is_closed


async def test_the_metadata_of_a_response_is_read() -> None:
    def script(exchange: Exchange) -> None:
        exchange.headers(*GRPC_HEADERS, ("x-served-by", "a"))
        if exchange.path.endswith("GetVersion"):
            exchange.message(VERSION)
        else:
            exchange.message(bytes(ExecuteResponse(result=ExecutionResult())))
        exchange.trailers(0, ("x-cost", "3"))

    async with (
        h2_peer(script) as port,
        RemoteMediaClient(f"127.0.0.1:{port}") as client,
    ):
        assert await function("served_by")(client, MANIFEST, {}) == ("a", ["3"])


WORDS = {
    "works": Action.DO,
    "waits": Action.WAIT,
    "nothing": Action.NOTHING,
    "raises": Action.RAISE,
    "refused": Action.REFUSE,
}


def test_the_table_of_states_is_the_codes() -> None:
    (header,) = re.findall(r"^\| \| (new .*) \|$", STATES, re.MULTILINE)
    states = [State[name.strip().upper()] for name in header.split("|")]
    rows = re.findall(
        r"^\| `?(\w+)[^|]*((?:\| (?:%s) )+)\|$" % "|".join(WORDS),  # noqa: UP031
        STATES,
        re.MULTILINE,
    )
    table = {
        method: {
            state: WORDS[cell.strip()]
            for state, cell in zip(states, cells.split("|")[1:], strict=True)
        }
        for method, cells in rows
    }
    assert table == ACTIONS


def test_the_numbers_are_the_codes() -> None:
    assert f"up to {MAX_UNREAD_BYTES // 2**20} MiB" in STATES


async def test_an_idempotent_call_is_made_again() -> None:
    fault = Fault.status(Status.UNAVAILABLE, "busy", method="ExecutePipeline")
    async with LocalService(faults=[fault]) as service:
        result = await function("transcribe")(service.address, MANIFEST, tone())
    assert result.audio() == tone()


async def test_a_service_is_waited_for(client: RemoteMediaClient) -> None:
    assert (await function("when_ready")(client)).protocol_version == "v1"


async def test_a_token_is_fetched() -> None:
    client = function("client_with_token")("localhost:1")
    # The guide leaves the token out, and no header can carry its ellipsis.
    with pytest.raises(ValueError, match="token must be printable ASCII"):
        await client.connect()


def test_the_defaults_of_a_policy_are_the_guides() -> None:
    (block,) = [block for block in BLOCKS if "POLICY" in block]
    names: dict[str, Any] = {}
    exec(block, names)
    assert names["POLICY"] == RetryPolicy()
    assert f"gives `refill` ({RetryPolicy().refill}) back" in GUIDE
    assert f"more than half of `budget` ({RetryPolicy().budget:g})" in GUIDE
