"""What errors say, what they must not say (the token), and TLS."""

from __future__ import annotations

import asyncio
import logging
import pickle
import ssl
import traceback

import pytest
import trustme
from grpclib.const import Status

from remotemedia import (
    ErrorType,
    RemoteMediaClient,
    RemoteMediaConnectionError,
    RemoteMediaError,
    RemoteMediaTimeoutError,
)
from remotemedia.grpc import CallError
from remotemedia.http2 import Address, Channel
from remotemedia.testing import LocalService
from remotemedia.v1 import PipelineExecutionServiceStub, VersionRequest
from tests.faults.tools import is_version
from tests.support.calls import stub
from tests.support.core_server import CoreServer
from tests.support.peers import Exchange, h2_peer, tcp_peer
from tests.support.pipelines import PASS, pipeline, tone
from tests.support.processes import free_port
from tests.support.waiting import GUARD_S, turns

TOKEN = "s3cr3t-t0k3n"


async def failures(address: str) -> list[RemoteMediaError]:
    """Provoke one error of each kind that a service or a network causes."""
    found: list[RemoteMediaError] = []
    async with RemoteMediaClient(address, token=TOKEN) as client:
        calls = [
            client.get_version(timeout=1e-6),
            client.execute_pipeline(pipeline("n", "No"), None, {"n": 1}),
            client.execute_pipeline(PASS, {"other": tone()}),
            anext(client.stream_pipeline(pipeline("n", "No"), [])),
            client.open_stream(PASS, timeout=1e-6).__aenter__(),
        ]
        for call in calls:
            with pytest.raises(RemoteMediaError) as caught:
                await call
            found.append(caught.value)
    with pytest.raises(RemoteMediaError) as caught:
        await client.get_version()
    found.append(caught.value)
    with pytest.raises(RemoteMediaError) as caught:
        await RemoteMediaClient(f"127.0.0.1:{free_port()}", token=TOKEN).connect()
    found.append(caught.value)
    return found


async def test_an_error_keeps_its_attributes_when_pickled(core: CoreServer) -> None:
    for error in await failures(core.address):
        # Misuse before any call has no operation.
        if "not connected" not in str(error):
            assert error.operation
            assert error.address
            assert error.request_id
            assert error.elapsed_s >= 0
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
            copy = pickle.loads(pickle.dumps(error, protocol))
            assert type(copy) is type(error)
            assert vars(copy) == vars(error)
            assert str(copy) == str(error)
            assert copy.args == error.args


async def test_an_error_with_only_a_message_pickles() -> None:
    error = CallError(Status.UNAVAILABLE, "why", b"raw", is_refused=True)
    copy = pickle.loads(pickle.dumps(error))
    assert vars(copy) == vars(error)
    assert (copy.status, copy.message, copy.details) == (error.status, "why", b"raw")


async def test_the_service_gets_the_request_id_of_the_error(
    core: CoreServer,
) -> None:
    async with RemoteMediaClient(core.address) as client:
        for metadata in (None, {"x-request-id": "mine"}):
            with pytest.raises(RemoteMediaError) as caught:
                await client.execute_pipeline(
                    pipeline("n", "No"), None, {"n": 1}, metadata=metadata
                )
            sent = [v for k, v in core.execution.metadata if k == "x-request-id"]
            assert sent == [caught.value.request_id]


async def test_the_cause_is_chained() -> None:
    with pytest.raises(RemoteMediaConnectionError) as caught:
        await RemoteMediaClient(f"127.0.0.1:{free_port()}").connect()
    causes = []
    error: BaseException | None = caught.value
    while error is not None:
        causes.append(type(error))
        error = error.__cause__
    assert causes[0] is RemoteMediaConnectionError
    assert issubclass(causes[-1], OSError)


async def test_the_token_appears_nowhere(
    core: CoreServer, caplog: pytest.LogCaptureFixture
) -> None:
    for name in [None, *logging.root.manager.loggerDict]:
        caplog.set_level(logging.DEBUG, logger=name)
    client = RemoteMediaClient(core.address, token=TOKEN)
    errors = await failures(core.address)
    async with client:
        stream = client.open_stream(PASS)
        async with stream:
            told = [repr(client), repr(stream), repr(client._link.channel)]
    assert ("authorization", f"Bearer {TOKEN}") in core.execution.metadata
    for error in errors:
        told += [repr(error), str(error), repr(pickle.dumps(error))]
        told += traceback.format_exception(error)
    told += [record.getMessage() for record in caplog.records]
    assert [text for text in told if TOKEN in text] == []


@pytest.mark.parametrize(
    "metadata",
    [{"authorization": f"Bearer {TOKEN}\n"}, {"authorization": f"Bearer {TOKEN}é"}],
)
async def test_metadata_that_is_not_valid_in_a_header(
    core: CoreServer, metadata: dict[str, str]
) -> None:
    """The ValueError names the key only, since a value may be secret."""
    async with RemoteMediaClient(core.address) as client:
        with pytest.raises(ValueError, match="authorization") as caught:
            await client.get_version(metadata=metadata)
        assert TOKEN not in str(caught.value)


async def test_per_call_metadata_keeps_the_token(core: CoreServer) -> None:
    """On every kind of call, and with the stubs' own defaults."""
    async with RemoteMediaClient(
        core.address, token=TOKEN, metadata={"a": "client"}
    ) as client:

        def seen() -> dict[str, str]:
            return dict(core.execution.metadata)

        extra: dict[str, str | bytes] = {"a": "call", "b-bin": b"\0\1"}
        await client.get_version(metadata=extra)
        assert (seen()["authorization"], seen()["a"]) == (f"Bearer {TOKEN}", "call")
        await client.execute_pipeline(PASS, {"src": tone()}, metadata=[("c", "1")])
        assert (seen()["authorization"], seen()["c"]) == (f"Bearer {TOKEN}", "1")
        async for _ in client.stream_pipeline(PASS, [], metadata=extra):
            pass
        assert (seen()["authorization"], seen()["a"]) == (f"Bearer {TOKEN}", "call")
        async with client.open_stream(PASS, metadata=extra):
            assert (seen()["authorization"], seen()["a"]) == (f"Bearer {TOKEN}", "call")


# -- TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def serving(authority: trustme.CA, *names: str, alpn: bool = True) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*names).configure_cert(context)
    if alpn:
        context.set_alpn_protocols(["h2"])
    return context


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def refused(address: str, context: ssl.SSLContext | bool) -> RemoteMediaError:
    client = RemoteMediaClient(address, ssl=context, timeout=2.0, connect_timeout=1.0)
    with pytest.raises(RemoteMediaError) as caught:
        await asyncio.wait_for(client.connect(), GUARD_S)
    return caught.value


async def test_calls_and_streams_over_tls(authority: trustme.CA) -> None:
    async with (
        LocalService(ssl=serving(authority, "127.0.0.1"), token=TOKEN) as service,
        RemoteMediaClient(
            service.address, ssl=trusting(authority), token=TOKEN
        ) as client,
    ):
        await client.execute_pipeline(PASS, {"src": tone()})
        received = 0
        async for _ in client.stream_pipeline(PASS, [("src", tone(16_000))] * 20):
            received += 1
        assert received == 20


async def test_tls_failures_say_what_failed(authority: trustme.CA) -> None:
    async with LocalService(ssl=serving(authority, "other.example")) as service:
        wrong_name = await refused(service.address, trusting(authority))
    assert "certificate" in str(wrong_name)
    async with LocalService(ssl=serving(authority, "127.0.0.1")) as service:
        wrong_authority = await refused(service.address, trusting(trustme.CA()))
        plaintext = await refused(service.address, False)
        unknown = await refused(service.address, True)
    assert "certificate" in str(wrong_authority)
    assert "certificate" in str(unknown)
    assert "TLS" in str(plaintext)
    async with LocalService() as service:
        against_plaintext = await refused(service.address, trusting(authority))
    assert "TLS" in str(against_plaintext)
    for error in (wrong_name, wrong_authority, plaintext, unknown, against_plaintext):
        assert isinstance(error, RemoteMediaConnectionError)
        # A certificate would be refused again.
        assert error.retryable is ("certificate" not in str(error))


async def test_tls_without_http2(authority: trustme.CA) -> None:
    server = await asyncio.start_server(
        lambda reader, writer: writer.close(),
        "127.0.0.1",
        0,
        ssl=serving(authority, "127.0.0.1", alpn=False),
    )
    async with server:
        port = server.sockets[0].getsockname()[1]
        error = await refused(f"127.0.0.1:{port}", trusting(authority))
    assert "ALPN" in str(error)


async def test_a_silent_tls_peer() -> None:
    async with tcp_peer() as port:
        error = await refused(f"127.0.0.1:{port}", True)
    assert isinstance(error, RemoteMediaConnectionError)
    assert "within 1 s" in str(error)


async def test_a_missing_client_certificate(
    authority: trustme.CA,
) -> None:
    """With TLS 1.3 the service refuses it after the client finished its handshake."""
    context = serving(authority, "127.0.0.1")
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    async with LocalService(ssl=context) as service:
        error = await refused(service.address, trusting(authority))
    assert isinstance(error, RemoteMediaConnectionError)
    assert "certificate" in str(error)


# -- which calls may be repeated


async def test_calls_that_were_not_processed_are_retryable() -> None:
    def script(exchange: Exchange) -> None:
        if exchange.stream_id == 1:
            is_version(exchange)
        else:
            exchange.reset(7)

    async with (
        h2_peer(script) as port,
        RemoteMediaClient(f"127.0.0.1:{port}") as client,
    ):
        with pytest.raises(RemoteMediaError) as caught:
            await client.execute_pipeline(PASS, {"src": tone()}, timeout=0.3)
        assert caught.value.retryable
        with pytest.raises(RemoteMediaError) as caught:
            await client.open_stream(PASS, timeout=0.3).__aenter__()
        assert caught.value.retryable


async def test_kinds_of_errors(core: CoreServer) -> None:
    kinds = {type(error) for error in await failures(core.address)}
    assert kinds == {
        RemoteMediaError,
        RemoteMediaConnectionError,
        RemoteMediaTimeoutError,
    }
    core.execution.token = "another"
    with pytest.raises(RemoteMediaError) as caught:
        await RemoteMediaClient(core.address, token=TOKEN).connect()
    assert caught.value.error_type is ErrorType.AUTHENTICATION


async def test_errors_of_a_stub_say_the_same() -> None:
    async with (
        h2_peer(lambda exchange: None) as port,
        stub(PipelineExecutionServiceStub, port) as service,
    ):
        with pytest.raises(CallError) as caught:
            await service.get_version(VersionRequest(), timeout=0.05)
        assert "0.05 s" in str(caught.value.message)
    channel = Channel(Address("127.0.0.1", free_port()))
    with pytest.raises(CallError, match="is the service running"):
        await PipelineExecutionServiceStub(channel).get_version(VersionRequest())
    channel.close()
    await turns(2)
