"""The client against the service of April 2026, as ``core_data_server`` stands for it.

What a user sees is what the audio contract has, and more; the service's traps are dealt
with where a client can.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from remotemedia import (
    AudioBuffer,
    AudioFormat,
    ErrorType,
    PipelineStream,
    RemoteMediaClient,
    RemoteMediaError,
    RemoteMediaTimeoutError,
)
from remotemedia import data as data_contract
from remotemedia.data import (
    BinaryBuffer,
    DataBuffer,
    FileBuffer,
    JsonData,
    PixelFormat,
    TensorBuffer,
    TextBuffer,
    VideoFrame,
)
from remotemedia.data_v1 import ControlMessage
from tests.support.core_data_server import Behaviour, CoreDataServer, serve
from tests.support.core_server import CoreServer
from tests.support.waiting import until

Client = RemoteMediaClient[data_contract.ExecutionResult, data_contract.ChunkResult]

TONE = AudioBuffer.from_numpy(np.sin(np.arange(64) / 5).astype(np.float32), 16_000)
PIXELS = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
ARRAY = np.arange(24, dtype=np.int64).reshape(2, 3, 4).transpose(2, 0, 1)
TENSOR = np.arange(6, dtype=np.float32).reshape(2, 3)


def manifest(*types: str, **params: Any) -> dict[str, Any]:
    """Return a manifest of nodes ``n0``, ``n1`` and so on, one after the other."""
    ids = [f"n{number}" for number in range(len(types))]
    return {
        "version": "v1",
        "metadata": {"name": "test"},
        "nodes": [
            {"id": node_id, "node_type": kind, "params": params}
            for node_id, kind in zip(ids, types, strict=True)
        ],
        "connections": [
            {"from": source, "to": target} for source, target in itertools.pairwise(ids)
        ],
    }


PASS = manifest("PassThrough")


@asynccontextmanager
async def connected(**behaviour: Any) -> AsyncIterator[tuple[CoreDataServer, Client]]:
    """Run a server, and connect to it."""
    async with (
        serve(Behaviour(**behaviour)) as server,
        RemoteMediaClient(server.address, contract="data") as client,
    ):
        yield server, client


# -- the contract


@pytest.mark.parametrize("version", ["0.4.0", "0.4.17-rc1", "v0.4"])
async def test_the_version_says_the_contract(version: str) -> None:
    async with serve(Behaviour(version=version)) as server:
        client = RemoteMediaClient(server.address)
        assert client.contract is None
        async with client:
            assert client.contract == "data"
            info = await client.get_version()
    assert (info.runtime_version, info.supported_node_types) == (version, [])


@pytest.mark.parametrize("version", ["0.5.0", "1.0", "dev"])
async def test_an_unknown_version_is_an_error_that_says_how_to_choose(
    version: str,
) -> None:
    async with serve(Behaviour(version=version)) as server:
        with pytest.raises(RemoteMediaError, match=r"contract='data'") as caught:
            await RemoteMediaClient(server.address).connect()
        assert caught.value.error_type is ErrorType.VERSION_MISMATCH
        assert repr(version) in str(caught.value)
        async with RemoteMediaClient(server.address, contract="data") as client:
            result = await client.execute_pipeline(PASS, {"n0": TONE})
            assert result.audio() == TONE


async def test_a_build_that_still_states_the_old_version() -> None:
    async with connected(version="0.2.0") as (_, client):
        assert (await client.execute_pipeline(PASS, {"n0": TONE})).audio() == TONE
    async with (
        serve(Behaviour(version="0.2.0")) as server,
        RemoteMediaClient(server.address) as mistaken,
    ):
        with pytest.raises(RemoteMediaError, match="contract='data'"):
            await mistaken.execute_pipeline(PASS, {"n0": TONE})
        with pytest.raises(RemoteMediaError, match="contract='data'"):
            async for _ in mistaken.stream_pipeline(PASS, [("n0", TONE)]):
                pass


async def test_a_service_of_the_other_contract_is_named(core: CoreServer) -> None:
    async with RemoteMediaClient(core.address, contract="data") as client:
        with pytest.raises(RemoteMediaError) as caught:
            await client.execute_pipeline(PASS, {"n0": TONE})
    assert caught.value.error_type is not ErrorType.UNSPECIFIED


# -- the program of the quick start, but for its node type, which the service lacks


async def test_a_program_of_the_audio_contract_runs_unchanged(
    core_data: CoreDataServer,
) -> None:
    async with RemoteMediaClient(core_data.address) as client:
        pipeline = manifest("PassThrough", "AudioLevelNode")
        pipeline["nodes"][0]["id"], pipeline["nodes"][1]["id"] = "mic", "level"
        pipeline["connections"] = [{"from": "mic", "to": "level"}]
        result = await client.execute_pipeline(pipeline, {"mic": TONE})
        assert result.json("output")["is_silence"] is False
        assert result.metrics.wall_time_ms > 0
        chunks = (("mic", TONE) for _ in range(10))
        numbers = []
        async for chunk in client.stream_pipeline(pipeline, chunks):
            numbers.append(chunk.sequence)
            assert chunk.json("level")["rms_db"] < 0
    assert numbers == [*range(10)]


async def test_data_inputs_are_json_as_on_the_audio_contract() -> None:
    async with connected() as (_, client):
        calculator = manifest("CalculatorNode", operation="multiply", operand=4)
        for value in (3, "3"):
            result = await client.execute_pipeline(calculator, None, {"n0": value})
            assert result.json() == 12
            assert result.data_outputs == {"output": "12"}


# -- values of every kind


def check_audio(result: Any) -> None:
    assert result.audio() == TONE


def check_array(result: Any) -> None:
    assert result.array().dtype == ARRAY.dtype
    assert (result.array() == ARRAY).all()


def check_tensor(result: Any) -> None:
    assert result.array().dtype == TENSOR.dtype
    assert (result.array() == TENSOR).all()


def check_video(result: Any) -> None:
    # The service loses the format, and the user knows it.
    frame = result.video()
    assert frame.format is PixelFormat.UNSPECIFIED
    frame.format = PixelFormat.RGB24
    assert (frame.to_numpy() == PIXELS).all()


def check_text(result: Any) -> None:
    assert result.text() == "héllo"


def check_binary(result: Any) -> None:
    assert result.binary() == BinaryBuffer(data=b"abc")


def check_json(result: Any) -> None:
    assert result.json() == {"a": [1, None]}


def check_file(result: Any) -> None:
    assert result.file() == FileBuffer(path="/media/a.wav", size=7)


KINDS = [
    pytest.param(TONE, check_audio, id="audio"),
    pytest.param(ARRAY, check_array, id="array"),
    pytest.param(TensorBuffer.from_numpy(TENSOR), check_tensor, id="tensor"),
    pytest.param(VideoFrame.from_numpy(PIXELS), check_video, id="video"),
    pytest.param(TextBuffer.from_text("héllo"), check_text, id="text"),
    pytest.param(b"abc", check_binary, id="bytes"),
    pytest.param(
        BinaryBuffer(data=b"abc", mime_type="image/png"), check_binary, id="binary"
    ),
    pytest.param({"a": [1, None]}, check_json, id="json"),
    pytest.param(JsonData(json_payload='{"a":[1,null]}'), check_json, id="json text"),
    pytest.param(FileBuffer(path="/media/a.wav", size=7), check_file, id="file"),
    pytest.param(
        DataBuffer(json=JsonData(json_payload='{"a":[1,null]}'), metadata={"k": "v"}),
        check_json,
        id="buffer",
    ),
]


@pytest.mark.parametrize(("value", "check"), KINDS)
async def test_every_kind_of_value_makes_the_round_trip(value: Any, check: Any) -> None:
    async with connected() as (_, client):
        check(await client.execute_pipeline(PASS, None, {"n0": value}))
        chunks = [("n0", value)] * 3
        found = [chunk async for chunk in client.stream_pipeline(PASS, chunks)]
        assert [chunk.sequence for chunk in found] == [0, 1, 2]
        for chunk in found:
            check(chunk)
            assert list(chunk.outputs) == ["n0"]


async def test_text_is_text_on_a_stream() -> None:
    async with connected() as (_, client), client.open_stream(PASS) as stream:
        await stream.send("n0", "héllo")
        check_text(await anext(stream))


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (ControlMessage(), TypeError, "takes no ControlMessage"),
        (object(), TypeError, "which the data contract cannot carry"),
        (np.float32(1), TypeError, r"\.item\(\)"),
        (VideoFrame(), ValueError, "0 x 0 pixels"),
        (float("nan"), ValueError, "JSON cannot say"),
    ],
)
async def test_what_cannot_be_carried_is_refused_before_it_is_sent(
    value: Any, error: type[Exception], text: str
) -> None:
    async with connected() as (server, client):
        with pytest.raises(error, match=rf"^data_inputs\['n0'\].*{text}"):
            await client.execute_pipeline(PASS, None, {"n0": value})
        async with client.open_stream(PASS) as stream:
            with pytest.raises(error, match=text):
                await stream.send("n0", value)
            with pytest.raises(error, match=text):
                stream.try_send("n0", value)
        assert server.executions == []
        assert server.chunks == []


async def test_arrays_share_memory_with_what_was_received() -> None:
    async with connected() as (_, client):
        result = await client.execute_pipeline(PASS, None, {"n0": ARRAY})
        received = np.frombuffer(result.outputs["output"].numpy.data, np.uint8)
        assert np.shares_memory(result.array(), received)


async def test_an_output_of_another_kind_is_named() -> None:
    async with connected() as (_, client):
        result = await client.execute_pipeline(PASS, {"n0": TONE})
    with pytest.raises(KeyError, match=r"no video output.*'output' \(audio\)"):
        result.video()
    with pytest.raises(KeyError, match=r"no text output 'other'"):
        result.text("other")


# -- executions


@pytest.mark.parametrize("form", [AudioFormat.I16, AudioFormat.I32])
async def test_audio_of_an_execution_is_sent_as_f32(form: AudioFormat) -> None:
    async with connected() as (server, client):
        buffer = TONE.to_format(form)
        for inputs in (({"n0": buffer}, None), (None, {"n0": buffer})):
            result = await client.execute_pipeline(PASS, *inputs)
            assert result.audio() == buffer.to_format(AudioFormat.F32)
        sent = server.executions[0].data_inputs["n0"].audio
        assert (sent.format, sent.num_samples) == (1, 64)


async def test_audio_of_a_stream_is_sent_as_it_is() -> None:
    async with connected() as (server, client):
        shorts = TONE.to_format(AudioFormat.I16)
        async for chunk in client.stream_pipeline(PASS, [("n0", shorts)]):
            assert chunk.audio() == shorts.to_format(AudioFormat.F32)
        assert server.chunks[0].buffer.audio.format == 2


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"version": "v2"}, "version"),
        ({"nodes": [{"id": "a", "node_type": "PassThrough"}] * 2}, "'a'"),
        ({"connections": [{"from": "n0", "to": "x"}]}, "'x'"),
        ({"connections": [{"from": "n0", "to": "n0"}]}, "cycle"),
    ],
)
async def test_the_checks_that_the_service_lacks_are_made_here(
    change: dict[str, Any], text: str
) -> None:
    async with connected() as (server, client):
        with pytest.raises(RemoteMediaError, match=text) as caught:
            await client.execute_pipeline(PASS | change, None, {"n0": 1})
        assert caught.value.error_type is ErrorType.VALIDATION
        with pytest.raises(RemoteMediaError, match="'nope'"):
            await client.execute_pipeline(PASS, None, {"nope": 1})
        with pytest.raises(RemoteMediaError, match="'n0'"):
            await client.execute_pipeline(PASS, {"n0": TONE}, {"n0": b"1"})
        assert server.executions == []


@pytest.mark.parametrize(
    ("pipeline", "inputs", "error_type", "text"),
    [
        (PASS, {}, ErrorType.VALIDATION, "No input"),
        (manifest("Nope"), {"n0": 1}, ErrorType.NODE_EXECUTION, "PassThrough"),
        (
            manifest("CalculatorNode", operation="divide", operand=0),
            *({"n0": 1}, ErrorType.NODE_EXECUTION, "division by zero"),
        ),
    ],
)
async def test_errors_of_the_service_are_raised(
    pipeline: Any, inputs: dict[str, Any], error_type: ErrorType, text: str
) -> None:
    async with connected() as (_, client):
        with pytest.raises(RemoteMediaError, match=text) as caught:
            await client.execute_pipeline(pipeline, None, inputs)
    assert caught.value.error_type is error_type


async def test_an_execution_without_an_output_ends_at_its_deadline() -> None:
    pipeline = manifest("TextCollectorNode")
    text = TextBuffer.from_text("half a sen")
    async with connected() as (_, client):
        with pytest.raises(RemoteMediaTimeoutError):
            await client.execute_pipeline(pipeline, None, {"n0": text}, timeout=0.2)
    async with connected(gives_up_s=0.05) as (_, client):
        with pytest.raises(RemoteMediaTimeoutError, match="Timeout expired"):
            await client.execute_pipeline(pipeline, None, {"n0": text})


async def test_the_token_goes_with_an_execution() -> None:
    async with serve(Behaviour(token="secret")) as server:
        async with RemoteMediaClient(server.address, contract="data") as client:
            with pytest.raises(RemoteMediaError, match="Invalid auth") as caught:
                await client.execute_pipeline(PASS, {"n0": TONE})
            assert caught.value.error_type is ErrorType.AUTHENTICATION
        async with RemoteMediaClient(
            server.address,
            contract="data",
            token="secret",
        ) as client:
            await client.execute_pipeline(PASS, {"n0": TONE})


async def test_a_request_that_is_too_large_is_an_error() -> None:
    async with (
        serve() as server,
        RemoteMediaClient(
            server.address, contract="data", max_send_bytes=None
        ) as client,
    ):
        with pytest.raises(RemoteMediaError, match="message length") as caught:
            await client.execute_pipeline(PASS, None, {"n0": bytes(10 * 1024 * 1024)})
        assert caught.value.error_type is ErrorType.RESOURCE_LIMIT
        nine = bytes(9 * 1024 * 1024)
        result = await client.execute_pipeline(PASS, None, {"n0": nine})
        assert result.binary().data == nine


# -- streams


async def test_loading_is_progress_and_no_result() -> None:
    async with connected() as (_, client):
        pipeline = manifest("PassThrough", "AudioLevelNode")
        async with client.open_stream(pipeline, [("n0", TONE)]) as stream:
            found = [chunk async for chunk in stream]
    assert [list(chunk.outputs) for chunk in found] == [["n1"]]
    assert stream.loading[-1] == "[n1] status=idle message=AudioLevelNode ready (2/2)"
    assert len(stream.loading) == 4
    assert stream.ready is not None
    assert stream.ready.session_id == "core-1"


async def test_a_chunk_may_have_no_result_or_several() -> None:
    async with connected() as (_, client):
        pipeline = manifest("AudioChunkerNode", chunk_size=24)
        chunks = [("n0", TONE)] * 3
        found = [chunk async for chunk in client.stream_pipeline(pipeline, chunks)]
        assert [chunk.sequence for chunk in found] == [0, 0, 1, 1, 1, 2, 2, 2]
        joined = b"".join(chunk.audio().samples for chunk in found)
        assert joined == TONE.samples * 3
        collector = manifest("TextCollectorNode")
        words = [("n0", "One "), ("n0", "sentence."), ("n0", "And ")]
        texts = [
            (chunk.sequence, chunk.text())
            async for chunk in client.stream_pipeline(collector, words)
        ]
    assert texts == [(1, "One sentence.")]


async def test_a_chunk_for_an_unknown_node_is_refused_here() -> None:
    async with connected() as (server, client):
        async with client.open_stream(PASS) as stream:
            with pytest.raises(RemoteMediaError, match="'nope'"):
                await stream.send("nope", TONE)
        with pytest.raises(RemoteMediaError, match="'nope'"):
            async for _ in client.stream_pipeline(PASS, [("nope", TONE)]):
                pass
        assert server.chunks == []
        await until(lambda: server.running == 0)


async def test_a_node_that_fails_leaves_a_gap() -> None:
    async with connected() as (_, client):
        pipeline = manifest("AudioLevelNode")
        chunks: list[tuple[str, data_contract.Value]] = [
            ("n0", TONE),
            ("n0", "no audio"),
            ("n0", TONE),
        ]
        found = [
            chunk.sequence async for chunk in client.stream_pipeline(pipeline, chunks)
        ]
    assert found == [0, 2]


async def test_an_error_is_the_end_of_a_session() -> None:
    async with connected(error_at_chunk=1) as (server, client):

        async def forever() -> AsyncIterator[tuple[str, AudioBuffer]]:
            while True:
                yield "n0", TONE
                await asyncio.sleep(0.005)

        results = aiter(client.stream_pipeline(PASS, forever()))
        assert (await anext(results)).sequence == 0
        with pytest.raises(RemoteMediaError, match="cannot go on") as caught:
            await anext(results)
        assert caught.value.error_type is ErrorType.NODE_EXECUTION
        # The service would keep the call open.
        await until(lambda: server.running == 0)


async def test_a_pipeline_that_is_not_valid_is_an_error_at_the_opening() -> None:
    async with connected() as (server, client):
        with pytest.raises(RemoteMediaError, match="PassThrough"):
            async with client.open_stream(manifest("Nope")):
                pass
        await until(lambda: server.running == 0)


async def by_leaving(stream: PipelineStream[Any]) -> None:
    """Leave the context, which the caller does."""


async def by_closing(stream: PipelineStream[Any]) -> None:
    await stream.close()


@pytest.mark.parametrize("end", [by_leaving, by_closing])
async def test_what_closing_would_lose_is_awaited_first(end: Any) -> None:
    async with connected(work_s=0.05) as (server, client):
        async with client.open_stream(PASS) as stream:
            for _ in range(3):
                await stream.send("n0", TONE)
            await end(stream)
        assert server.processed == [0, 1, 2]


async def test_the_results_of_a_source_that_ends_are_not_lost() -> None:
    async with connected(work_s=0.05) as (_, client):
        chunks = [("n0", TONE)] * 5
        found = [chunk.sequence async for chunk in client.stream_pipeline(PASS, chunks)]
    assert found == [0, 1, 2, 3, 4]


async def test_a_short_timeout_is_enough_where_the_last_chunk_has_no_result() -> None:
    async with (
        connected(work_s=60.0) as (_, client),
        client.open_stream(PASS) as stream,
    ):
        await stream.send("n0", "dropped")
        closed = await stream.close(timeout=0.4)
        assert closed is not None
        assert closed.reason == "Client requested close"


async def test_cancelling_waits_for_nothing() -> None:
    async with (
        connected(work_s=60) as (server, client),
        client.open_stream(PASS) as stream,
    ):
        await stream.send("n0", TONE)
        await until(lambda: server.chunks)
        closed = await stream.cancel()
        assert closed is not None
        assert closed.reason == "Client requested cancel"
    assert server.processed == []
