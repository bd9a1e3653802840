"""The client's calls, against the embedded service and a server on grpcio."""

from __future__ import annotations

import asyncio
import gc
import inspect
import json
import pickle
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import grpc
import numpy as np
import pytest
from grpclib.const import Status

from remotemedia import (
    AudioBuffer,
    ErrorType,
    ExecutionResult,
    ExecutionStatus,
    PipelineManifest,
    RemoteMediaClient,
    RemoteMediaConnectionError,
    RemoteMediaError,
    RemoteMediaTimeoutError,
    ResourceLimits,
    ResponseMetadata,
)
from remotemedia.client import ClientOptions
from remotemedia.contracts import ContractName
from remotemedia.grpc import CallDetails, Next, RetryPolicy
from remotemedia.testing import Fault, LocalService, NodeCall
from remotemedia.v1 import ErrorResponse, ExecuteResponse, StreamResponse
from tests.support import core_server
from tests.support.calls import READY, VERSION
from tests.support.core_server import CoreServer
from tests.support.peers import GRPC_HEADERS, Exchange, h2_peer, tcp_peer
from tests.support.pipelines import PASS, pipeline, tone
from tests.support.processes import free_port
from tests.support.waiting import until


def calculator(operation: str, operand: float) -> dict[str, object]:
    return pipeline("calc", "CalculatorNode", operation=operation, operand=operand)


# -- connection


async def test_connect_and_disconnect(address: str) -> None:
    client = RemoteMediaClient(address)
    await client.connect()
    await client.connect()
    assert (await client.get_version()).protocol_version == "v1"
    await client.disconnect()
    await client.disconnect()


async def test_a_closed_client_makes_no_calls(address: str) -> None:
    client = RemoteMediaClient(address)
    for _ in range(2):
        with pytest.raises(RemoteMediaConnectionError, match="not connected"):
            await client.get_version()
        async with client:
            await client.get_version()
    with pytest.raises(RemoteMediaConnectionError, match="not connected"):
        client.open_stream(PASS)


def test_a_plain_context_says_what_to_write(address: str) -> None:
    """Type checkers refuse it, so `Any` stands for a program that is not checked."""
    client: Any = RemoteMediaClient(address)
    with pytest.raises(TypeError, match=r"`async with`.*\.blocking"), client:
        pass


async def test_connecting_where_nobody_listens() -> None:
    address = f"127.0.0.1:{free_port()}"
    client = RemoteMediaClient(address)
    with pytest.raises(RemoteMediaConnectionError, match="is the service running") as e:
        await client.connect()
    assert e.value.retryable
    assert (e.value.operation, e.value.address) == ("connect", address)
    assert isinstance(e.value, ConnectionError)
    assert repr(client) == f"<RemoteMediaClient {address}, not connected>"


async def test_a_peer_that_never_answers() -> None:
    async with tcp_peer() as port:
        client = RemoteMediaClient(f"127.0.0.1:{port}", timeout=0.05)
        with pytest.raises(RemoteMediaTimeoutError, match=r"within 0\.05 s") as caught:
            await client.connect()
    assert isinstance(caught.value, TimeoutError)


async def test_a_service_of_another_version(core: CoreServer) -> None:
    core.execution.protocol = "v2"
    client = RemoteMediaClient(core.address)
    with pytest.raises(RemoteMediaError, match="this service speaks v2") as caught:
        await client.connect()
    assert caught.value.error_type is ErrorType.VERSION_MISMATCH
    assert "not connected" in repr(client)


def test_a_client_is_bound_to_its_event_loop() -> None:
    client = RemoteMediaClient("localhost:1")

    async def connect() -> LocalService:
        service = LocalService()
        await service.start()
        nonlocal client
        client = RemoteMediaClient(service.address)
        await client.connect()
        return service

    async def call() -> None:
        with pytest.raises(RemoteMediaConnectionError, match="another event loop"):
            await client.get_version()

    async def finish(service: LocalService) -> None:
        await client.disconnect()
        await service.stop()

    first = asyncio.new_event_loop()
    service = first.run_until_complete(connect())
    asyncio.run(call())
    first.run_until_complete(finish(service))
    first.close()


# -- version


async def test_version(client: RemoteMediaClient) -> None:
    info = await client.get_version()
    assert info.protocol_version == "v1"
    assert "PassThrough" in info.supported_node_types
    assert info.supported_protocols == ["v1"]


# -- execution


@pytest.mark.parametrize(
    ("operation", "operand", "expected"),
    [("add", 5, 15), ("subtract", 3, 7), ("multiply", 2, 20), ("divide", 4, 2.5)],
)
async def test_execute_calculates(
    client: RemoteMediaClient, operation: str, operand: float, expected: float
) -> None:
    result = await client.execute_pipeline(
        calculator(operation, operand), None, {"calc": 10}
    )
    assert result.status is ExecutionStatus.SUCCESS
    assert result.json("calc") == expected
    assert result.metrics.wall_time_ms > 0


async def test_execute_passes_audio(client: RemoteMediaClient) -> None:
    sent = tone()
    result = await client.execute_pipeline(PASS, {"src": sent})
    received = result.audio_outputs["src"]
    assert received == sent
    np.testing.assert_array_equal(received.to_numpy(), sent.to_numpy())


async def test_the_forms_of_a_manifest(client: RemoteMediaClient) -> None:
    manifest = calculator("add", 5)
    message = PipelineManifest().from_dict(
        {**manifest, "nodes": [{"id": "calc", "nodeType": "CalculatorNode"}]}
    )
    message.nodes[0].params = '{"operation": "add", "operand": 5}'
    for form in (manifest, json.dumps(manifest), message):
        result = await client.execute_pipeline(form, None, {"calc": "10"})
        assert result.json("calc") == 15


async def test_an_unknown_node_type(client: RemoteMediaClient) -> None:
    with pytest.raises(RemoteMediaError, match="NoSuchNode") as caught:
        await client.execute_pipeline(pipeline("n", "NoSuchNode"), None, {"n": 1})
    assert caught.value.error_type is ErrorType.VALIDATION
    assert caught.value.operation == "execute_pipeline"
    assert not caught.value.retryable


async def test_a_node_that_fails(client: RemoteMediaClient) -> None:
    with pytest.raises(RemoteMediaError) as caught:
        await client.execute_pipeline(calculator("divide", 0), None, {"calc": 1})
    assert caught.value.error_type is ErrorType.NODE_EXECUTION
    assert caught.value.failing_node_id == "calc"


async def test_limits_reach_the_service(local: LocalService) -> None:
    async with RemoteMediaClient(local.address) as client:
        with pytest.raises(RemoteMediaError) as caught:
            await client.execute_pipeline(
                PASS,
                {"src": tone(1600)},
                resource_limits=ResourceLimits(max_audio_samples=1599),
            )
        assert caught.value.error_type is ErrorType.RESOURCE_LIMIT
        with pytest.raises(RemoteMediaError) as caught:
            async for _ in client.stream_pipeline(
                PASS,
                [("src", tone(1600))],
                resource_limits=ResourceLimits(max_audio_samples=1599),
            ):
                pass
        assert caught.value.error_type is ErrorType.RESOURCE_LIMIT


# -- arguments that are refused before anything is sent


async def test_invalid_input_is_refused_before_it_is_sent(core: CoreServer) -> None:
    async with RemoteMediaClient(core.address) as client:
        core.execution.metadata = []
        bad = tone()
        bad.channels = 0
        with pytest.raises(ValueError, match=r"audio_inputs\['src'\].*channels"):
            await client.execute_pipeline(PASS, {"src": bad})
        with pytest.raises(TypeError, match=r"audio_inputs\['src'\] is ndarray"):
            await client.execute_pipeline(PASS, {"src": np.zeros(4)})  # type: ignore[dict-item]  # the mistake
        with pytest.raises(TypeError, match=r"data_inputs\['src'\]"):
            await client.execute_pipeline(PASS, None, {"src": b"bytes"})
        with pytest.raises(RemoteMediaError, match="no node 'scr'") as caught:
            await client.execute_pipeline(PASS, {"scr": tone()})
        assert caught.value.failing_node_id == "scr"
        with pytest.raises(RemoteMediaError, match="version") as caught:
            await client.execute_pipeline({**PASS, "version": "v9"})
        assert caught.value.error_type is ErrorType.VALIDATION
        assert caught.value.operation == "execute_pipeline"
        assert core.execution.metadata == []


async def test_a_request_over_the_limit(client: RemoteMediaClient) -> None:
    big = AudioBuffer.from_numpy(np.zeros(2_700_000, np.float32), 16_000)
    with pytest.raises(RemoteMediaError, match=r"108\d+ bytes.*max_send_bytes") as e:
        await client.execute_pipeline(PASS, {"src": big})
    assert e.value.error_type is ErrorType.RESOURCE_LIMIT
    assert not e.value.retryable


@pytest.mark.parametrize("chosen", [True, False], ids=["chosen", "found"])
@pytest.mark.parametrize(("contract", "most_mib"), [("audio", 4), ("data", 10)])
async def test_requests_are_as_large_as_the_service_takes(
    contract: ContractName, most_mib: int, chosen: bool
) -> None:
    """One MiB is left for what is beside the samples, which is far less."""
    fits, too_large = (
        AudioBuffer.from_numpy(np.zeros(mib * 2**18, np.float32), 16_000)
        for mib in (most_mib - 1, most_mib)
    )
    limits = ResourceLimits(max_memory_bytes=10**9)
    async with (
        LocalService(contract=contract) as service,
        RemoteMediaClient(
            service.address, contract=contract if chosen else None
        ) as client,
    ):
        result = await client.execute_pipeline(
            PASS, {"src": fits}, resource_limits=limits
        )
        assert result.audio() == fits
        with pytest.raises(RemoteMediaError, match="max_send_bytes"):
            await client.execute_pipeline(PASS, {"src": too_large})
        async with client.open_stream(PASS, resource_limits=limits) as stream:
            await stream.send("src", fits)
            with pytest.raises(RemoteMediaError, match="max_send_bytes"):
                await stream.send("src", too_large)


async def test_a_limit_that_is_given_holds_for_each_contract() -> None:
    audio = AudioBuffer.from_numpy(np.zeros(1_000, np.float32), 16_000)
    async with (
        LocalService(contract="data") as service,
        RemoteMediaClient(service.address, max_send_bytes=3_000) as client,
    ):
        with pytest.raises(RemoteMediaError, match=r"limit of 3000 \(max_send_bytes"):
            await client.execute_pipeline(PASS, {"src": audio})


async def test_a_response_over_the_limit(address: str) -> None:
    async with RemoteMediaClient(address, max_receive_bytes=1000) as client:
        with pytest.raises(RemoteMediaError, match="max_receive_bytes") as caught:
            await client.execute_pipeline(PASS, {"src": tone()})
        assert caught.value.error_type is ErrorType.RESOURCE_LIMIT
        assert (await client.get_version()).protocol_version == "v1"


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_an_invalid_timeout(timeout: float) -> None:
    for name in ("timeout", "connect_timeout", "idle_timeout"):
        with pytest.raises(ValueError, match=f"{name} must be positive"):
            RemoteMediaClient(**{name: timeout})  # type: ignore[call-overload]  # by name


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"timeout": "5"}, TypeError, "timeout must be a number of seconds or None"),
        ({"connect_timeout": "5"}, TypeError, "connect_timeout must be a number .*'5'"),
        ({"idle_timeout": True}, TypeError, "idle_timeout must be a number .*True"),
        ({"max_send_bytes": "4M"}, TypeError, "max_send_bytes must be an int.*'4M'"),
        ({"max_send_bytes": 0}, ValueError, "max_send_bytes must be positive, got 0"),
        ({"max_receive_bytes": None}, TypeError, "max_receive_bytes must be .*None"),
        ({"max_receive_bytes": -1}, ValueError, "max_receive_bytes must be positive"),
        ({"metadata": "a"}, TypeError, "metadata must be a dict or a list"),
        ({"compression": "br"}, ValueError, "compression must be 'gzip' or 'identity'"),
        ({"ssl": "yes"}, TypeError, "ssl must be a bool, TLS or an SSLContext"),
        ({"address": 50051}, TypeError, "address must be a str or a list of them"),
    ],
)
def test_an_argument_that_makes_no_sense(
    arguments: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        RemoteMediaClient(**arguments)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"timeout": "5"}, TypeError, "timeout must be a number of seconds.*'5'"),
        ({"timeout": -1}, ValueError, "timeout must be positive, got -1"),
        ({"resource_limits": {}}, TypeError, "must be a ResourceLimits, .* not dict"),
        ({"metadata": "a"}, TypeError, "metadata must be a dict or a list"),
        ({"compression": "br"}, ValueError, "compression must be 'gzip' or 'identity'"),
        ({"data_inputs": []}, TypeError, "data_inputs must be a dict .* not list"),
        ({"data_inputs": "{}"}, TypeError, "data_inputs must be a dict .* not str"),
    ],
)
async def test_an_argument_of_a_call_that_makes_no_sense(
    client: RemoteMediaClient,
    arguments: dict[str, Any],
    error: type[Exception],
    text: str,
) -> None:
    with pytest.raises(error, match=text):
        await client.execute_pipeline(PASS, **arguments)
    with pytest.raises(error, match=text):
        client.stream_pipeline(PASS, [], **arguments)
    with pytest.raises(error, match=text):
        client.open_stream(PASS, **arguments)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"expected_chunk_size": 10.5}, TypeError, "expected_chunk_size must be an in"),
        ({"expected_chunk_size": -1}, ValueError, "chunk_size must be at least 0, got"),
        ({"max_buffered_chunks": "16"}, TypeError, "max_buffered_chunks must be an in"),
        ({"max_buffered_chunks": 0}, ValueError, "max_buffered_chunks must be positiv"),
        ({"max_in_flight_chunks": "1"}, TypeError, "max_in_flight_chunks must be an i"),
        ({"max_in_flight_chunks": 0}, ValueError, "max_in_flight_chunks must be posit"),
    ],
)
async def test_an_argument_of_a_stream_that_makes_no_sense(
    client: RemoteMediaClient,
    arguments: dict[str, Any],
    error: type[Exception],
    text: str,
) -> None:
    with pytest.raises(error, match=text):
        client.open_stream(PASS, **arguments)
    if "max_buffered_chunks" not in arguments:
        with pytest.raises(error, match=text):
            client.stream_pipeline(PASS, [], **arguments)


async def test_a_timeout_of_a_session_that_makes_no_sense(
    client: RemoteMediaClient,
) -> None:
    async with client.open_stream(PASS) as stream:
        for end in (stream.close, stream.cancel):
            with pytest.raises(TypeError, match="timeout must be a number of seconds"):
                await end(timeout="5")  # type: ignore[arg-type]  # the mistake
            with pytest.raises(ValueError, match="timeout must be positive"):
                await end(timeout=0)
        # The session goes on.
        await stream.send("src", tone())
        assert (await anext(stream)).sequence == 0


@pytest.mark.parametrize(
    "inputs", [[tone()], [], tone(), AudioBuffer(), np.zeros(4), np.zeros(0), 0, ""]
)
async def test_audio_inputs_are_a_mapping(
    client: RemoteMediaClient, inputs: Any
) -> None:
    with pytest.raises(TypeError) as caught:
        await client.execute_pipeline(PASS, inputs)
    assert str(caught.value) == (
        "audio_inputs must be a dict from node ids to inputs, such as {'src': …}, "
        f"not {type(inputs).__name__}"
    )


async def test_a_manifest_in_a_file(client: RemoteMediaClient, tmp_path: Path) -> None:
    path = tmp_path / "pipeline.yaml"
    path.write_text("nodes: [{id: src, node_type: PassThrough}]")
    result = await client.execute_pipeline(path, {"src": tone()})
    assert result.audio().samples == tone().samples
    async for chunk in client.stream_pipeline(path, [("src", tone())]):
        assert chunk.audio().samples == tone().samples


async def test_an_unknown_host_is_named() -> None:
    client = RemoteMediaClient("no-such-host.invalid:1")
    with pytest.raises(
        RemoteMediaConnectionError, match=r"is 'no-such-host\.invalid' the right"
    ):
        await client.connect()


async def test_a_unix_socket_that_is_not_there_is_named(tmp_path: Path) -> None:
    client = RemoteMediaClient(f"unix:{tmp_path}/none")
    with pytest.raises(
        RemoteMediaConnectionError, match=f"cannot connect to unix:{tmp_path}/none: "
    ):
        await client.connect()


async def test_a_call_has_a_deadline() -> None:
    async def never(call: NodeCall) -> str:
        await asyncio.Event().wait()
        return ""

    async with (
        LocalService(nodes={"Never": never}) as service,
        RemoteMediaClient(service.address) as client,
    ):
        with pytest.raises(RemoteMediaTimeoutError) as caught:
            await client.execute_pipeline(
                pipeline("n", "Never"), None, {"n": 1}, timeout=0.05
            )
        assert caught.value.operation == "execute_pipeline"


# -- token and metadata


async def test_the_token_is_sent_with_every_call() -> None:
    async with LocalService(token="s3cret") as service:
        async with RemoteMediaClient(service.address, token="s3cret") as client:
            await client.get_version(metadata={"x-extra": "1"})
            await client.execute_pipeline(PASS, {"src": tone()}, metadata=[("a", "b")])
            async for _ in client.stream_pipeline(
                PASS, [("src", tone())], metadata={"x-extra": "1"}
            ):
                pass
            assert "s3cret" not in repr(client) + repr(vars(client.open_stream(PASS)))
        for token in (None, "wrong"):
            with pytest.raises(RemoteMediaError) as caught:
                await RemoteMediaClient(service.address, token=token).connect()
            assert caught.value.error_type is ErrorType.AUTHENTICATION


async def test_metadata_is_merged(core: CoreServer) -> None:
    async with RemoteMediaClient(
        core.address, token="t", metadata={"a": "client", "b": "client"}
    ) as client:
        await client.get_version(metadata={"b": "call", "c": "call"})
        seen = dict(core.execution.metadata)
        assert seen["authorization"] == "Bearer t"
        assert (seen["a"], seen["b"], seen["c"]) == ("client", "call", "call")


# -- compression, and the metadata of a response


@pytest.mark.parametrize("compresses", [False, True])
async def test_gzip_in_both_directions(
    core_modules: dict[str, ModuleType], compresses: bool
) -> None:
    """grpcio expands what it gets, and compresses what it sends if it is told to."""
    buffer = tone(16_000)
    how = grpc.Compression.Gzip if compresses else grpc.Compression.NoCompression
    async with (
        core_server.serve(core_modules, compression=how) as service,
        RemoteMediaClient(service.address, compression="gzip") as client,
    ):
        result = await client.execute_pipeline(PASS, {"src": buffer})
        assert result.audio() == buffer
        result = await client.execute_pipeline(
            PASS, {"src": buffer}, compression="identity"
        )
        assert result.audio() == buffer
        source = [("src", buffer)] * 3
        async for chunk in client.stream_pipeline(PASS, source):
            assert chunk.audio() == buffer
        async with client.open_stream(PASS, source, compression="identity") as stream:
            assert [chunk.audio() async for chunk in stream] == [buffer] * 3


async def test_a_method_that_is_missing_is_named(local: LocalService) -> None:
    async with RemoteMediaClient(local.address) as client:
        local.add_fault(Fault.status(Status.UNIMPLEMENTED, ""))
        with pytest.raises(RemoteMediaError) as caught:
            await client.execute_pipeline(PASS, {"src": tone()})
        method = "/remotemedia.v1.PipelineExecutionService/ExecutePipeline"
        assert f"({method} at {local.address})" in str(caught.value)


async def test_the_embedded_service_refuses_gzip(local: LocalService) -> None:
    async with RemoteMediaClient(local.address) as client:
        with pytest.raises(RemoteMediaError, match=r"does not take .* gzip") as caught:
            await client.execute_pipeline(PASS, {"src": tone()}, compression="gzip")
        assert caught.value.status is Status.UNIMPLEMENTED
        with pytest.raises(RemoteMediaError, match=r"does not take .* gzip"):
            await client.get_version(compression="gzip")
        stream = client.open_stream(PASS, compression="gzip")
        with pytest.raises(RemoteMediaError, match=r"does not take .* gzip"):
            await stream.__aenter__()
        # The connection is as it was.
        await client.execute_pipeline(PASS, {"src": tone()})


def _with_metadata(exchange: Exchange) -> None:
    exchange.headers(*GRPC_HEADERS, ("x-served-by", "a"), ("id-bin", "AAE"))
    if exchange.path.endswith("GetVersion"):
        exchange.message(VERSION)
    elif exchange.path.endswith("ExecutePipeline"):
        outcome = ExecuteResponse(error=ErrorResponse(message="no"))
        if exchange.stream_id == 3:
            outcome = ExecuteResponse(result=ExecutionResult())
        exchange.message(bytes(outcome))
    else:
        exchange.message(READY)
        if exchange.stream_id == 7:
            error = ErrorResponse(message="broken")
            exchange.message(bytes(StreamResponse(error=error)))
    exchange.trailers(5 if exchange.stream_id == 11 else 0, ("x-cost", "3"))


async def test_the_headers_and_trailers_of_every_call() -> None:
    headers = (("x-served-by", "a"), ("id-bin", b"\0\1"))
    trailers = (("x-cost", "3"),)
    async with (
        h2_peer(_with_metadata) as port,
        RemoteMediaClient(f"127.0.0.1:{port}") as client,
    ):
        received = ResponseMetadata()
        await client.execute_pipeline(PASS, response_metadata=received)
        assert (received.headers, received.trailers) == (headers, trailers)

        received = ResponseMetadata()
        with pytest.raises(RemoteMediaError, match="no") as caught:
            await client.execute_pipeline(PASS, response_metadata=received)
        assert (received.headers, received.trailers) == (headers, trailers)
        assert (caught.value.headers, caught.value.trailers) == (headers, trailers)

        # The error is a message of the stream, so no trailers came before it.
        stream = client.open_stream(PASS)
        with pytest.raises(RemoteMediaError, match="broken") as caught:
            async with stream:
                await anext(stream)
        assert caught.value.headers == stream.headers == headers

        results = client.stream_pipeline(PASS, chunks(1))
        assert (results.headers, results.trailers) == ((), ())
        with suppress(StopAsyncIteration):
            await anext(results)
        assert (results.headers, results.trailers) == (headers, trailers)

        received = ResponseMetadata()
        with pytest.raises(RemoteMediaError) as caught:
            await client.get_version(response_metadata=received)
        assert caught.value.status is Status.NOT_FOUND
        assert (received.headers, received.trailers) == (headers, trailers)
        assert (caught.value.headers, caught.value.trailers) == (headers, trailers)
        again = pickle.loads(pickle.dumps(caught.value))
        assert (again.headers, again.trailers) == (headers, trailers)


async def test_a_token_that_the_service_sends_back_is_not_in_the_error() -> None:
    def script(exchange: Exchange) -> None:
        exchange.headers(*GRPC_HEADERS, ("authorization", "Bearer s3cret"))
        exchange.trailers(13, ("authorization", "Bearer s3cret"))

    async with h2_peer(script) as port:
        with pytest.raises(RemoteMediaError) as caught:
            await RemoteMediaClient(f"127.0.0.1:{port}", token="s3cret").connect()
    assert b"s3cret" not in pickle.dumps(caught.value)


# -- streams


async def chunks(count: int) -> AsyncIterator[tuple[str, AudioBuffer]]:
    for _ in range(count):
        yield "src", tone()


async def test_stream_echoes_in_order(client: RemoteMediaClient) -> None:
    sent = tone()
    sequences = []
    async for chunk in client.stream_pipeline(PASS, chunks(25)):
        sequences.append(chunk.sequence)
        assert list(chunk.audio_outputs.values()) == [sent]
        assert chunk.total_samples_processed == 1600 * len(sequences)
    assert sequences == list(range(25))


async def test_a_plain_iterable_with_sequence_numbers(
    client: RemoteMediaClient,
) -> None:
    source = [("src", tone(), number) for number in range(5)]
    results = [chunk async for chunk in client.stream_pipeline(PASS, source)]
    assert [chunk.sequence for chunk in results] == [0, 1, 2, 3, 4]


async def test_no_chunks_at_all(client: RemoteMediaClient) -> None:
    assert [c async for c in client.stream_pipeline(PASS, [])] == []


@pytest.mark.parametrize("numbers", [[1], [0, 0], [0, 2], [0, 1, 0]])
async def test_sequence_numbers_must_be_consecutive(
    client: RemoteMediaClient, numbers: list[int]
) -> None:
    source = [("src", tone(), number) for number in numbers]
    with pytest.raises(RemoteMediaError, match="is next") as caught:
        async for _ in client.stream_pipeline(PASS, source):
            pass
    assert caught.value.error_type is ErrorType.VALIDATION


async def test_a_stream_that_the_service_refuses(client: RemoteMediaClient) -> None:
    pulled = False

    async def source() -> AsyncIterator[tuple[str, AudioBuffer]]:
        nonlocal pulled
        pulled = True
        yield "src", tone()

    with pytest.raises(RemoteMediaError, match="NoSuchNode") as caught:
        async for _ in client.stream_pipeline(pipeline("src", "NoSuchNode"), source()):
            pass
    assert caught.value.error_type is ErrorType.VALIDATION
    assert caught.value.operation == "stream_pipeline"
    assert not pulled


async def test_the_callers_exception_comes_out_unchanged(
    client: RemoteMediaClient,
) -> None:
    mine = KeyError("mine")

    async def source() -> AsyncIterator[tuple[str, AudioBuffer]]:
        yield "src", tone()
        yield "src", tone()
        raise mine

    with pytest.raises(KeyError) as caught:
        async for _ in client.stream_pipeline(PASS, source()):
            pass
    assert caught.value is mine


@pytest.mark.parametrize(
    ("chunk", "error", "text"),
    [
        # Neither contract carries sets.
        (("src", {0.5}), TypeError, "is set, (not an AudioBuffer|which the data)"),
        (("src",), TypeError, "must yield"),
        (tone(), TypeError, "must yield"),
        (("src", AudioBuffer()), ValueError, "chunk 1 for node 'src'"),
    ],
)
async def test_items_that_are_not_chunks(
    client: RemoteMediaClient, chunk: object, error: type[Exception], text: str
) -> None:
    source = [("src", tone()), chunk]
    with pytest.raises(error, match=text):
        async for _ in client.stream_pipeline(PASS, source):  # type: ignore[arg-type]  # the mistake
            pass


async def test_leaving_the_loop_ends_the_session(core: CoreServer) -> None:
    closed = asyncio.Event()

    async def source() -> AsyncIterator[tuple[str, AudioBuffer]]:
        try:
            while True:
                yield "src", tone()
                await asyncio.sleep(0)
        finally:
            closed.set()

    async with RemoteMediaClient(core.address) as client:
        async for chunk in client.stream_pipeline(PASS, source()):
            if chunk.sequence == 3:
                break
        await asyncio.wait_for(closed.wait(), 5)
        await until(lambda: core.streaming.running == 0)


async def test_cancelling_the_task_ends_the_session(core: CoreServer) -> None:
    closed = asyncio.Event()
    started = asyncio.Event()

    async def source() -> AsyncIterator[tuple[str, AudioBuffer]]:
        try:
            yield "src", tone()
            await asyncio.Event().wait()
        finally:
            closed.set()

    async with RemoteMediaClient(core.address) as client:

        async def consume() -> None:
            async for _ in client.stream_pipeline(PASS, source()):
                started.set()

        task = asyncio.create_task(consume())
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert closed.is_set()
        await until(lambda: core.streaming.running == 0)


async def test_nothing_is_left_behind(client: RemoteMediaClient) -> None:
    for _ in range(3):
        await client.get_version()
        await client.execute_pipeline(PASS, {"src": tone()})
        async for _ in client.stream_pipeline(PASS, chunks(3)):
            pass
    gc.collect()
    await asyncio.sleep(0)
    # The servers of this test have tasks in the same event loop.
    ours = [task for task in asyncio.all_tasks() if "_Call" in repr(task)]
    assert ours == []


async def test_a_source_that_is_always_ready_does_not_block_the_loop(
    client: RemoteMediaClient,
) -> None:
    turns = 0

    async def tick() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    def source() -> Iterator[tuple[str, AudioBuffer]]:
        for _ in range(200):
            yield "src", tone(16)

    ticking = asyncio.create_task(tick())
    async for _ in client.stream_pipeline(PASS, source()):
        pass
    ticking.cancel()
    assert turns > 20


@pytest.mark.parametrize(
    "address", ["localhost:1", "127.0.0.1:1", "127.8.9.1:1", "[::1]:1", "unix:/s"]
)
def test_a_token_stays_on_this_machine(address: str) -> None:
    RemoteMediaClient(address, token="t")


@pytest.mark.parametrize(
    "address",
    ["example.com:1", "10.0.0.1:1", "[2001:db8::1]:1", "localhost.evil.com:1"],
)
def test_a_token_does_not_travel_in_plaintext(address: str) -> None:
    with pytest.raises(ValueError, match="in plaintext: pass ssl=True") as caught:
        RemoteMediaClient(address, token="s3cret")
    assert "s3cret" not in str(caught.value)
    RemoteMediaClient(address)
    RemoteMediaClient(address, token="t", ssl=True)
    RemoteMediaClient(address, token="t", allow_insecure_token=True)


async def test_a_token_among_the_metadata_does_not_travel_in_plaintext() -> None:
    secret = {"authorization": "Bearer s3cret"}
    with pytest.raises(ValueError, match="in plaintext") as caught:
        RemoteMediaClient("example.com:1", metadata=secret)
    assert "s3cret" not in str(caught.value)
    RemoteMediaClient("example.com:1", metadata=secret, ssl=True)
    RemoteMediaClient("example.com:1", metadata=secret, allow_insecure_token=True)

    async with LocalService() as service:
        client = RemoteMediaClient(service.address)
        await client.connect()
        await client.get_version(metadata=secret)
        # As if the service were on another machine.
        client._link._exposed = "example.com:1"
        for call in (
            client.get_version(metadata=secret),
            client.execute_pipeline(PASS, metadata=secret),
        ):
            with pytest.raises(ValueError, match="in plaintext"):
                await call
        with pytest.raises(ValueError, match="in plaintext"):
            client.open_stream(PASS, metadata=secret)
        await client.get_version(metadata={"x-tenant": "blue"})
        await client.disconnect()


@pytest.mark.parametrize("token", ["", "a b", "a\nb", "a\r\nx: y", "tökén", "\x7f"])
def test_a_token_that_no_header_can_carry(token: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII") as caught:
        RemoteMediaClient("localhost:1", token=token)
    assert not token or token not in str(caught.value)


def test_a_token_is_text() -> None:
    with pytest.raises(TypeError, match="token must be a str, got bytes"):
        RemoteMediaClient("localhost:1", token=b"t")  # type: ignore[call-overload]  # the mistake


# -- tokens that are fetched


class Tokens:
    """An async function that returns the next token each time."""

    def __init__(self, *tokens: str) -> None:
        self.tokens = list(tokens)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        return self.tokens.pop(0)


async def test_a_token_may_be_fetched_by_a_function(core: CoreServer) -> None:
    core.execution.token = "new"
    tokens = Tokens("old", "new")
    async with RemoteMediaClient(core.address, token=tokens) as client:
        assert await client.get_version()
        assert await client.execute_pipeline(calculator("add", 1), None, {"calc": 1})
        async for _ in client.stream_pipeline(PASS, chunks(1)):
            pass
        assert tokens.calls == 2
        async with client.open_stream(PASS):
            core.execution.token = "newer"
        tokens.tokens.append("newer")
        # The session is opened again: nothing of the source was taken before.
        received = [r async for r in client.stream_pipeline(PASS, chunks(3))]
    assert len(received) == 3
    assert tokens.calls == 3


async def test_a_token_that_is_refused_twice_is_an_error(core: CoreServer) -> None:
    core.execution.token = "right"
    tokens = Tokens("right", "wrong", "wrong", "wrong")
    async with RemoteMediaClient(core.address, token=tokens) as client:
        core.execution.token = "other"
        with pytest.raises(RemoteMediaError, match="token missing") as caught:
            await client.get_version()
        assert caught.value.error_type is ErrorType.AUTHENTICATION
        assert tokens.calls == 2
        with pytest.raises(RemoteMediaError, match="token missing"):
            async with client.open_stream(PASS):
                pass
        assert tokens.calls == 4


async def test_what_a_token_function_raises_comes_out_unchanged(address: str) -> None:
    error = LookupError("the vault is closed")

    def token() -> str:
        raise error

    client = RemoteMediaClient(address, token=token)
    with pytest.raises(LookupError) as caught:
        await client.connect()
    assert caught.value is error
    assert "not connected" in repr(client)


async def test_a_token_function_that_returns_no_token(address: str) -> None:
    client = RemoteMediaClient(address, token=lambda: 5)  # type: ignore[arg-type,return-value]  # the mistake
    with pytest.raises(TypeError, match="must return a str or a remotemedia"):
        await client.connect()


@pytest.mark.parametrize("address", ["example.com:1", "10.0.0.1:1"])
def test_a_fetched_token_does_not_travel_in_plaintext(address: str) -> None:
    with pytest.raises(ValueError, match="in plaintext"):
        RemoteMediaClient(address, token=lambda: "t")
    RemoteMediaClient(address, token=lambda: "t", allow_insecure_token=True)
    RemoteMediaClient(address, token=lambda: "t", ssl=True)


# -- retries


FAST = RetryPolicy(initial_backoff_s=1e-6, attempts=3)
BUSY = Fault.status(Status.UNAVAILABLE, "busy", method="ExecutePipeline", times=2)


async def test_an_idempotent_execution_is_made_again(local: LocalService) -> None:
    local.add_fault(BUSY)
    async with RemoteMediaClient(local.address, retry=FAST) as client:
        result = await client.execute_pipeline(PASS, {"src": tone()}, idempotent=True)
        assert result.audio() == tone()


async def test_an_execution_is_not_made_again_by_default(local: LocalService) -> None:
    local.add_fault(BUSY)
    async with RemoteMediaClient(local.address, retry=FAST) as client:
        with pytest.raises(RemoteMediaConnectionError, match="busy") as caught:
            await client.execute_pipeline(PASS, {"src": tone()})
        assert not caught.value.retryable
        local.add_fault(BUSY)
        with pytest.raises(RemoteMediaConnectionError) as caught:
            await client.execute_pipeline(PASS, idempotent=True)
        assert caught.value.retryable


async def test_retries_can_be_switched_off(local: LocalService) -> None:
    fault = Fault.status(Status.UNAVAILABLE, "busy", method="GetVersion")
    async with RemoteMediaClient(local.address, retry=None) as client:
        local.add_fault(fault)
        with pytest.raises(RemoteMediaConnectionError, match="busy"):
            await client.get_version()
    async with RemoteMediaClient(local.address, retry=FAST) as client:
        local.add_fault(fault)
        assert await client.get_version()


async def test_a_failure_of_the_pipeline_is_not_repeated(local: LocalService) -> None:
    calls = 0

    def node(call: NodeCall) -> None:
        nonlocal calls
        calls += 1
        raise ValueError("broken")

    async with (
        LocalService(nodes={"Broken": node}) as service,
        RemoteMediaClient(service.address, retry=FAST) as client,
    ):
        with pytest.raises(RemoteMediaError, match="broken"):
            await client.execute_pipeline(
                pipeline("n", "Broken"), None, {"n": 1}, idempotent=True
            )
    assert calls == 1


def test_a_policy_is_a_policy() -> None:
    with pytest.raises(
        TypeError, match=r"retry must be a remotemedia\.grpc\.RetryPolicy"
    ):
        RemoteMediaClient(retry=3)  # type: ignore[call-overload]  # the mistake


# -- interceptors and ids


async def test_a_session_inside_interceptors(local: LocalService) -> None:
    log: list[object] = []

    async def intercept(call: CallDetails, next: Next) -> object:
        log.append((call.operation, call.is_stream))
        try:
            return await next(call)
        except BaseException as error:
            log.append(type(error))
            raise
        finally:
            log.append("end")

    async with RemoteMediaClient(local.address, interceptors=[intercept]) as client:
        del log[:]
        received = [r async for r in client.stream_pipeline(PASS, chunks(3))]
        assert len(received) == 3
        assert log == [("stream_pipeline", True), "end"]
        del log[:]
        local.add_fault(Fault.error("no", method="StreamPipeline"))
        with pytest.raises(RemoteMediaError):
            async with client.open_stream(PASS):
                pass
        # The error of a session that is OK to gRPC is seen as well.
        assert log == [("open_stream", True), RemoteMediaError, "end"]


async def test_errors_have_the_id_of_the_call_in_their_text(
    client: RemoteMediaClient,
) -> None:
    with pytest.raises(RemoteMediaError) as caught:
        await client.execute_pipeline(
            pipeline("n", "Unknown"), metadata={"x-request-id": "my-id"}
        )
    error = caught.value
    assert error.request_id == "my-id"
    assert str(error) == f"{error.message} [request_id=my-id]"
    assert "my-id" not in error.message


def test_the_keywords_that_type_checkers_see_are_those_of_the_constructor() -> None:
    parameters = inspect.signature(RemoteMediaClient).parameters
    assert list(ClientOptions.__annotations__) == list(parameters)[2:]
    assert list(parameters)[:2] == ["address", "contract"]
    for name, annotation in ClientOptions.__annotations__.items():
        assert annotation.__forward_arg__ == parameters[name].annotation
