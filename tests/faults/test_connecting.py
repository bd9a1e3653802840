"""Connections that cannot be opened, break, freeze or come back."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import cast

import pytest
from grpclib.const import Status

from remotemedia import (
    RemoteMediaClient,
    RemoteMediaConnectionError,
    RemoteMediaTimeoutError,
)
from remotemedia.grpc import CallError
from remotemedia.http2 import Address, Channel
from remotemedia.testing import LocalService
from remotemedia.v1 import (
    PipelineExecutionServiceStub,
    StreamingPipelineServiceStub,
    VersionRequest,
)
from tests.faults.tools import black_hole, endless, is_version, sockets_to
from tests.support.calls import READY, no_input, stub
from tests.support.peers import Exchange, Peer, h2_peer, tcp_peer
from tests.support.pipelines import PASS, tone
from tests.support.processes import address_of, free_port, service_process
from tests.support.waiting import GUARD_S, turns, until

# -- no peer


async def test_the_timeout_of_a_call_includes_connecting() -> None:
    with black_hole() as port:
        client = RemoteMediaClient(f"127.0.0.1:{port}", timeout=0.05)
        with pytest.raises(RemoteMediaTimeoutError) as caught:
            await client.connect()
        # Nothing was sent, so a repeat is safe.
        assert caught.value.retryable


async def test_connecting_has_a_timeout_of_its_own() -> None:
    with black_hole() as port:
        client = RemoteMediaClient(f"127.0.0.1:{port}", connect_timeout=0.05)
        with pytest.raises(RemoteMediaConnectionError, match=r"within 0\.05 s"):
            await client.connect()


async def test_disconnecting_ends_an_attempt_to_connect() -> None:
    """It ends immediately, not after the timeout of connecting."""
    with black_hole() as port:
        client = RemoteMediaClient(f"127.0.0.1:{port}", connect_timeout=5)
        connecting = asyncio.create_task(client.connect())
        await asyncio.sleep(0.02)
        await client.disconnect()
        with pytest.raises(RemoteMediaConnectionError, match="was disconnected"):
            await asyncio.wait_for(connecting, 1.0)


async def test_disconnecting_before_the_peer_sent_settings() -> None:
    async with tcp_peer() as port:
        client = RemoteMediaClient(f"127.0.0.1:{port}", connect_timeout=5)
        connecting = asyncio.create_task(client.connect())
        await asyncio.sleep(0.02)
        await client.disconnect()
        # The peer did not close the connection.
        with pytest.raises(RemoteMediaConnectionError, match="was disconnected"):
            await asyncio.wait_for(connecting, 1.0)


async def test_a_peer_that_never_sends_settings() -> None:
    async with tcp_peer() as port:
        client = RemoteMediaClient(f"127.0.0.1:{port}", connect_timeout=0.05)
        with pytest.raises(RemoteMediaConnectionError, match="did not greet") as caught:
            await client.connect()
    assert caught.value.retryable


async def test_a_peer_that_sends_half_of_its_settings() -> None:
    async with tcp_peer(b"\0\0\6\4") as port:
        client = RemoteMediaClient(f"127.0.0.1:{port}", connect_timeout=0.05)
        with pytest.raises(RemoteMediaConnectionError, match="did not greet"):
            await client.connect()


async def test_failed_attempts_to_connect_back_off() -> None:
    """After a failed attempt, calls fail immediately for a while."""
    channel = Channel(Address("127.0.0.1", free_port()))
    service = PipelineExecutionServiceStub(channel)
    attempts = 0
    for _ in range(200):
        with pytest.raises(CallError, match="no connection") as caught:
            await service.get_version(VersionRequest())
        assert caught.value.unprocessed
        attempts += "too early for another" not in str(caught.value)
    assert attempts <= 5
    channel.close()


async def test_a_service_comes_back_on_the_same_port() -> None:
    port = free_port()
    async with LocalService(port=port):
        client = RemoteMediaClient(f"127.0.0.1:{port}")
        await client.connect()
    with pytest.raises(RemoteMediaConnectionError):
        await client.get_version()
    async with LocalService(port=port):

        async def try_on() -> None:
            while True:
                try:
                    await client.get_version()
                except RemoteMediaConnectionError:  # noqa: PERF203 - it tries again
                    await asyncio.sleep(0.01)
                else:
                    return

        await asyncio.wait_for(try_on(), GUARD_S)
        await client.disconnect()


# -- a service process that dies or freezes


async def test_a_killed_service() -> None:
    with service_process() as process:
        client = RemoteMediaClient(address_of(process))
        await client.connect()
        async with client.open_stream(PASS) as stream:
            await stream.send("src", tone())
            await anext(stream)
            process.kill()
            with pytest.raises(RemoteMediaConnectionError, match="lost") as caught:
                await asyncio.wait_for(anext(stream), GUARD_S)
            # The service may have processed the call.
            assert not caught.value.retryable
            with pytest.raises(RemoteMediaConnectionError, match="lost"):
                await asyncio.wait_for(stream.send("src", tone()), GUARD_S)
        with pytest.raises(RemoteMediaConnectionError) as caught:
            await client.get_version()
        assert caught.value.retryable
        await client.disconnect()


async def test_a_frozen_service() -> None:
    """Deadlines hold, and the next call gets a new connection."""
    with service_process() as process:
        client = RemoteMediaClient(address_of(process))
        await client.connect()
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(RemoteMediaTimeoutError):
            await client.get_version(timeout=0.05)
        process.send_signal(signal.SIGCONT)
        assert (await client.get_version()).protocol_version == "v1"
        await client.disconnect()


async def test_a_frozen_service_with_unsent_bytes() -> None:
    """Disconnecting does not wait for a peer that reads nothing."""
    with service_process() as process:
        host, _, port = address_of(process).partition(":")
        channel = Channel(Address(host, int(port)))
        service = PipelineExecutionServiceStub(channel, max_send_bytes=None)
        await service.get_version(VersionRequest())
        process.send_signal(signal.SIGSTOP)
        big = VersionRequest(client_version="v" * 32_000_000)
        calls = [
            asyncio.create_task(service.get_version(big, timeout=0.2)) for _ in range(2)
        ]
        errors = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(error) for error in errors] == [CallError, CallError]
        channel.close()
        # The service is still frozen. Ending it would close the socket anyway.
        await until(lambda: not sockets_to(int(port)))


@asynccontextmanager
async def frozen_peer(connections: list[object]) -> AsyncIterator[int]:
    """A peer that reads nothing more from a connection once a stream is open on it."""

    def script(exchange: Exchange) -> None:
        if exchange.transport not in connections:
            connections.append(exchange.transport)
        if is_version(exchange):
            return
        for stream_id in (None, exchange.stream_id):
            exchange.connection.increment_flow_control_window(2**30, stream_id)
        exchange.headers()
        exchange.message(READY)
        exchange.flush()
        exchange.transport.pause_reading()

    async with h2_peer(script) as port:
        yield port


async def fill_the_socket(client: RemoteMediaClient) -> None:
    """Send until the system takes no more bytes, and leave with an exception."""
    with suppress(ZeroDivisionError):
        async with client.open_stream(PASS, endless(160_000)) as stream:
            await stalls(lambda: stream.chunks_sent)
            raise ZeroDivisionError


async def stalls(count: Callable[[], int]) -> None:
    """Wait until a count stands still above zero."""
    before, still = 0, 0
    while still < 20:
        await asyncio.sleep(0.005)
        now = count()
        still = still + 1 if now == before and now else 0
        before = now


async def test_disconnecting_from_a_peer_that_stopped_reading() -> None:
    """The socket is closed, although bytes that cannot be sent are left."""
    async with frozen_peer([]) as port:
        client = RemoteMediaClient(f"127.0.0.1:{port}")
        await client.connect()
        await fill_the_socket(client)
        await client.disconnect()
        await until(lambda: not sockets_to(port))


async def test_a_peer_that_stopped_reading_is_replaced() -> None:
    """The call that times out ends the connection; the next one has another."""
    connections: list[object] = []
    async with (
        frozen_peer(connections) as port,
        RemoteMediaClient(f"127.0.0.1:{port}") as client,
    ):
        await fill_the_socket(client)
        with pytest.raises(RemoteMediaTimeoutError):
            await client.get_version(timeout=0.1)
        await client.get_version()
        # The socket of the first is closed, although the peer takes no bytes.
        await until(lambda: sockets_to(port) <= 1)
    assert len(connections) == 2


async def test_a_silent_connection_is_not_used_again() -> None:
    """A call timed out without a byte from the peer. The next one connects again."""
    connections: list[object] = []

    def script(exchange: Exchange) -> None:
        if exchange.transport not in connections:
            connections.append(exchange.transport)
        if len(connections) > 1:
            is_version(exchange)

    async with (
        h2_peer(script) as port,
        stub(PipelineExecutionServiceStub, port) as service,
    ):
        with pytest.raises(CallError) as caught:
            await service.get_version(VersionRequest(), timeout=0.1)
        assert caught.value.status is Status.DEADLINE_EXCEEDED
        assert (await service.get_version(VersionRequest(), timeout=1.0)).compatible
    assert len(connections) == 2


async def test_a_connection_with_traffic_survives_a_timeout() -> None:
    """A call timed out, but the peer sent bytes meanwhile."""
    connections: set[object] = set()

    def script(exchange: Exchange) -> None:
        connections.add(exchange.transport)
        if exchange.stream_id > 1:
            is_version(exchange)

    async with (
        h2_peer(script) as port,
        stub(PipelineExecutionServiceStub, port) as service,
    ):
        slow = asyncio.create_task(service.get_version(VersionRequest(), timeout=0.5))
        await until(lambda: bool(connections))
        # What comes in the first tenth of the timeout says nothing of the peer.
        await asyncio.sleep(0.1)
        await service.get_version(VersionRequest())
        with pytest.raises(CallError):
            await slow
        await service.get_version(VersionRequest())
    assert len(connections) == 1


# -- disconnecting


async def test_disconnecting_ends_calls_in_flight() -> None:
    def script(exchange: Exchange) -> None:
        if exchange.stream_id == 1:
            is_version(exchange)
        elif "Streaming" in exchange.path:
            exchange.headers()

    async with h2_peer(script) as port:
        client = RemoteMediaClient(f"127.0.0.1:{port}")
        await client.connect()

        async def session() -> None:
            async with client.open_stream(PASS):
                pass

        async def results() -> None:
            async for _ in client.stream_pipeline(PASS, endless()):
                pass

        calls = [
            asyncio.create_task(call) for call in (client.get_version(), session())
        ] + [asyncio.create_task(results())]
        await asyncio.sleep(0.02)
        await client.disconnect()
        for error in await asyncio.wait_for(
            asyncio.gather(*calls, return_exceptions=True), GUARD_S
        ):
            assert isinstance(error, RemoteMediaConnectionError)
            assert "the client was disconnected" in str(error)


async def test_a_closed_channel_stays_closed() -> None:
    async with LocalService() as local:
        host, _, port = local.address.partition(":")
        channel = Channel(Address(host, int(port)))
        service = PipelineExecutionServiceStub(channel)
        await service.get_version(VersionRequest())
        channel.close()
        with pytest.raises(CallError, match="was disconnected") as caught:
            await service.get_version(VersionRequest())
        assert caught.value.status is Status.UNAVAILABLE
        streaming = StreamingPipelineServiceStub(channel)
        with pytest.raises(CallError, match="was disconnected"):
            await anext(streaming.stream_pipeline(no_input()))


async def test_two_tasks_connect_at_once(local: LocalService) -> None:
    """The client is connected when either returns."""
    client = RemoteMediaClient(local.address)

    async def work() -> None:
        await client.connect()
        await client.get_version()

    await asyncio.gather(*[work() for _ in range(5)])
    await client.disconnect()


async def test_two_tasks_fail_to_connect_at_once() -> None:
    """Both get the error."""
    client = RemoteMediaClient(f"127.0.0.1:{free_port()}")
    errors = await asyncio.gather(
        *[client.connect() for _ in range(3)], return_exceptions=True
    )
    assert [type(error) for error in errors] == [RemoteMediaConnectionError] * 3


async def test_the_deadline_of_one_call_leaves_the_attempt_to_others() -> None:
    """Calls that cannot wait for a slow service do not restart the attempt."""
    attempts: list[asyncio.Transport] = []

    class Slow(Peer):
        """Greets only when it is told to."""

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            attempts.append(cast("asyncio.Transport", transport))
            self.heard = b""

        def data_received(self, data: bytes) -> None:
            if greeted:
                super().data_received(data)
            else:
                self.heard += data

        def greet(self) -> None:
            greeted.append(self)
            super().connection_made(attempts[0])
            super().data_received(self.heard)

    def answer(exchange: Exchange) -> None:
        is_version(exchange)

    greeted: list[Slow] = []
    slow = Slow(answer, [], [], {}, takes_data=True)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: slow, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with stub(PipelineExecutionServiceStub, port) as service:
        for _ in range(3):
            with pytest.raises(CallError) as caught:
                await service.get_version(VersionRequest(), timeout=0.02)
            assert caught.value.status is Status.DEADLINE_EXCEEDED
        slow.greet()
        assert (await service.get_version(VersionRequest())).compatible
        assert len(attempts) == 1
    server.close()
    attempts[0].abort()
    await server.wait_closed()


# -- another loop, another process


@pytest.mark.parametrize("used_before", [True, False])
async def test_a_bare_channel_in_a_second_loop(
    local: LocalService, used_before: bool
) -> None:
    host, _, port = local.address.partition(":")
    channel = Channel(Address(host, int(port)))
    service = PipelineExecutionServiceStub(channel, timeout=1.0)
    if used_before:
        await service.get_version(VersionRequest())

    async def call() -> None:
        with pytest.raises(CallError, match="another event loop"):
            await service.get_version(VersionRequest())

    await asyncio.to_thread(asyncio.run, call())
    assert (await service.get_version(VersionRequest())).compatible
    channel.close()
    await turns(2)


TWO_LOOPS = """
    import asyncio, sys
    from remotemedia import RemoteMediaClient

    client = RemoteMediaClient(sys.argv[1], timeout=2)

    async def connect():
        # Several at once wait for the same lock, which belongs to this loop.
        await asyncio.gather(*(client.connect() for _ in range(3)))

    asyncio.run(connect())
    asyncio.run(connect())

    async def second():
        print((await client.get_version()).protocol_version)
        await client.disconnect()
        async with client:
            print((await client.get_version()).protocol_version)

    asyncio.run(second())
"""


def test_a_client_of_a_loop_that_is_over(local_process: str) -> None:
    """A program may use a client in one `asyncio.run` after another."""
    assert _script(TWO_LOOPS, local_process) == "v1\nv1\n"


FORKING = """
    import asyncio, os, sys
    from remotemedia import RemoteMediaClient, RemoteMediaConnectionError

    async def in_child(client):
        try:
            await client.get_version()
        except RemoteMediaConnectionError as error:
            assert "process" in str(error), error
        else:
            raise AssertionError("the child used its parent's connection")
        await client.disconnect()

    async def main():
        async with RemoteMediaClient(sys.argv[1], timeout=2) as client:
            if (child := os.fork()) == 0:
                code = 1
                try:
                    asyncio.run(in_child(client))
                    code = 0
                finally:
                    os._exit(code)
            _, status = await asyncio.to_thread(os.waitpid, child, 0)
            assert status == 0, status
            await client.get_version()
            print("parent goes on")

    asyncio.run(main())
"""


@pytest.fixture
def local_process() -> object:
    with service_process() as process:
        yield address_of(process)


def test_a_fork_leaves_the_parents_connection_alone(local_process: str) -> None:
    assert _script(FORKING, local_process) == "parent goes on\n"


FORGOTTEN = """
    import asyncio, sys
    from remotemedia.http2 import Address, Channel
    from remotemedia.v1 import *

    async def requests():
        yield StreamRequest(init=StreamInit(client_version="v1"))
        await asyncio.Event().wait()

    kept = []

    async def main():
        host, _, port = sys.argv[1].partition(":")
        channel = Channel(Address(host, int(port)))
        responses = StreamingPipelineServiceStub(channel).stream_pipeline(requests())
        await anext(responses)
        kept.append(responses)
        channel.close()
        await asyncio.sleep(0.01)

    asyncio.run(main())
    kept.clear()
    print("over")
"""


def test_a_stream_that_outlives_its_loop(local_process: str) -> None:
    assert _script(FORGOTTEN, local_process, "-Werror") == "over\n"


def _script(text: str, address: str, *options: str) -> str:
    """Run a program, which must succeed without a warning, and return its output."""
    run = subprocess.run(
        [sys.executable, *options, "-c", textwrap.dedent(text), address],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")
    return run.stdout
