"""Sessions, by a client that shares no line with the library."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from statistics import mean
from typing import Any

import pytest
import pytest_asyncio

from remotemedia.contracts import ContractName
from remotemedia.testing import LocalService, Node, NodeCall, NodeOutput
from remotemedia.v1 import (
    AudioBuffer,
    PipelineManifest,
    ResourceLimits,
    StreamControlCommand,
    StreamRequest,
)
from tests.support.pipelines import tone
from tests.testing.conftest import Connect, Serve
from tests.testing.core_client import CoreClient, CoreStream
from tests.testing.manifests import chain, graph, node

PASS = chain(node("src", "PassThrough"))
CLOSE = StreamControlCommand.COMMAND_CLOSE
CANCEL = StreamControlCommand.COMMAND_CANCEL


@pytest_asyncio.fixture
async def stream(both: CoreClient) -> AsyncIterator[CoreStream]:
    """A call that nothing was sent on yet."""
    stream = both.open()
    yield stream
    stream.call.cancel()


async def opened(stream: CoreStream, manifest: PipelineManifest = PASS) -> Any:
    await stream.init(manifest)
    return await stream.read("ready")


async def error(stream: CoreStream, begins: str) -> str:
    """The text of the error that ends the session."""
    text = stream.error_text(await stream.read("error"))
    assert text.startswith(begins)
    assert await stream.ends_well()
    return text


async def test_a_whole_session(stream: CoreStream) -> None:
    ready = await opened(stream)
    assert ready.session_id
    assert ready.recommended_chunk_size == 4096
    assert ready.max_buffer_latency_ms == 100
    samples = 0
    times_ms = []
    for sequence in range(25):
        audio = tone(160 + sequence)
        samples += audio.num_samples
        await stream.chunk("src", audio, sequence)
        result = await stream.read("result")
        assert result.sequence == sequence
        assert list(result.audio_outputs) == ["src"]
        assert result.audio_outputs["src"].SerializeToString() == bytes(audio)
        assert result.total_samples_processed == samples
        assert result.processing_time_ms > 0
        times_ms.append(result.processing_time_ms)
        if sequence in (9, 19):
            metrics = await stream.read("metrics")
            assert metrics.session_id == ready.session_id
            assert metrics.chunks_processed == sequence + 1
            assert metrics.total_samples == samples
            assert metrics.average_latency_ms == pytest.approx(mean(times_ms))
            assert metrics.peak_memory_bytes == len(audio.samples)
    await stream.control(CLOSE)
    closed = await stream.read("closed")
    assert closed.session_id == ready.session_id
    assert closed.reason == "closed by the client"
    final = closed.final_metrics
    assert final.node_metrics["src"].samples_processed == samples
    assert final.wall_time_ms == pytest.approx(sum(times_ms))
    assert final.serialization_time_ms > 0
    assert await stream.ends_well()


async def test_cancel_ends_a_session_too(stream: CoreStream) -> None:
    await opened(stream)
    await stream.control(CANCEL)
    assert (await stream.read("closed")).reason == "cancelled by the client"
    assert await stream.ends_well()


async def test_ending_the_input_ends_the_call(stream: CoreStream) -> None:
    await opened(stream)
    await stream.call.done_writing()
    assert await stream.ends_well()


async def test_a_call_without_a_message_ends(stream: CoreStream) -> None:
    await stream.call.done_writing()
    assert await stream.ends_well()


async def test_the_pipeline_runs_chunk_by_chunk(stream: CoreStream) -> None:
    manifest = chain(
        node("ear", "VAD"), node("rate", "AudioResample", target_sample_rate=8_000)
    )
    await opened(stream, manifest)
    silence = tone()
    silence.samples = bytes(len(silence.samples))
    samples = 0
    for sequence, audio in enumerate([tone(), silence, silence, silence, silence]):
        await stream.chunk("ear", audio, sequence)
        result = await stream.read("result")
        assert json.loads(result.data_outputs["ear"])["has_speech"] is (sequence == 0)
        samples += result.audio_outputs["rate"].num_samples
    # 8,000 frames at half the rate, but for what the filter looks ahead.
    assert 2_700 < samples < 4_000


async def test_the_audio_of_several_sinks_is_named_by_node_id(
    stream: CoreStream,
) -> None:
    manifest = graph(
        *(node(name, "PassThrough") for name in ("src", "left", "right")),
        connections=[("src", "left"), ("src", "right")],
    )
    await opened(stream, manifest)
    await stream.chunk("src", tone(), 0)
    result = await stream.read("result")
    assert set(result.audio_outputs) == {"left", "right"}


async def test_data_inputs_hold_for_the_whole_session(stream: CoreStream) -> None:
    await stream.init(chain(node("echo", "Echo")), data_inputs={"echo": '"hi"'})
    await stream.read("ready")
    for sequence in range(2):
        await stream.chunk("echo", tone(), sequence)
        result = await stream.read("result")
        assert json.loads(result.data_outputs["echo"]) == {
            "input": "hi",
            "counter": sequence + 1,
            "node": "Echo",
        }


async def test_init_must_come_first(stream: CoreStream) -> None:
    await stream.chunk("src", tone(), 0)
    assert "'chunk'" in await error(stream, "Validation error: ")


async def test_a_second_init_is_refused(stream: CoreStream) -> None:
    await opened(stream)
    await stream.init(PASS)
    assert "init" in await error(stream, "Validation error: ")


async def test_an_empty_message_is_refused(stream: CoreStream) -> None:
    await opened(stream)
    await stream.write(StreamRequest())
    assert "nothing" in await error(stream, "Validation error: ")


@pytest.mark.parametrize("sequence", [0, 3])
async def test_sequences_rise_by_one(stream: CoreStream, sequence: int) -> None:
    await opened(stream)
    await stream.chunk("src", tone(), 0)
    await stream.read("result")
    await stream.chunk("src", tone(), sequence)
    assert "where 1 is next" in await error(stream, "Validation error: ")


@pytest.mark.parametrize(
    ("manifest", "init", "begins"),
    [
        (chain(node("n", "Nope")), {}, "Validation error: node 'n' has the unknown"),
        (PASS, {"client_version": ""}, "Validation error: init.client_version"),
        (PASS, {"client_version": "v2"}, "Version mismatch: the client speaks 'v2'"),
        (PASS, {"data_inputs": {"m": "1"}}, "Validation error: there is data for"),
    ],
)
async def test_a_bad_init_is_refused(
    stream: CoreStream, manifest: PipelineManifest, init: dict[str, Any], begins: str
) -> None:
    await stream.init(manifest, **init)
    await error(stream, begins)


@pytest.mark.parametrize(
    ("node_id", "buffer", "begins"),
    [
        ("src", AudioBuffer(), "Validation error: the audio for node 'src' is not"),
        ("nope", tone(), "Validation error: there is audio for node 'nope'"),
        ("src", tone(1_601), "Resource limit exceeded: an audio buffer of 1601"),
    ],
)
async def test_a_bad_chunk_ends_the_session(
    stream: CoreStream, node_id: str, buffer: AudioBuffer, begins: str
) -> None:
    await stream.init(PASS, resource_limits=ResourceLimits(max_audio_samples=1_600))
    await stream.read("ready")
    await stream.chunk(node_id, buffer, 0)
    await error(stream, begins)


async def test_a_failing_node_ends_the_session(stream: CoreStream) -> None:
    manifest = chain(node("add", "AddNode", operand=1))
    await stream.init(manifest, data_inputs={"add": '"one"'})
    await stream.read("ready")
    await stream.chunk("add", tone(), 0)
    await error(stream, "Node execution error in add: the input is 'one'")


async def test_the_time_limit_is_for_each_chunk(
    serve: Serve,
) -> None:
    async def stall(call: NodeCall) -> NodeOutput:
        if call.sequence == 1:
            await asyncio.Event().wait()
        return NodeOutput(call.audio)

    async with serve(nodes={"Stall": stall}) as client:
        stream = client.open()
        limits = ResourceLimits(max_timeout_ms=500)
        await stream.init(chain(node("n", "Stall")), resource_limits=limits)
        await stream.read("ready")
        await stream.chunk("n", tone(), 0)
        await stream.read("result")
        await stream.chunk("n", tone(), 1)
        await error(stream, "Resource limit exceeded: the time limit of 500 ms passed")


@pytest.mark.parametrize("is_open", [True, False])
async def test_an_idle_session_is_dropped(serve: Serve, is_open: bool) -> None:
    async with serve(idle_timeout=0.5) as client:
        stream = client.open()
        if is_open:
            await stream.init(PASS)
            await stream.read("ready")
            closed = await stream.read("closed")
            assert closed.reason == "idle for 0.5 s"
            assert closed.session_id
            assert await stream.ends_well()
        else:
            await error(stream, "Validation error: no init came within 0.5 s")


@pytest.mark.parametrize("hangs_up", [False, True])
async def test_a_client_that_goes_away_ends_the_node_s_work(
    contract: ContractName, call_service: Connect, hangs_up: bool
) -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def work(call: NodeCall) -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with LocalService(nodes={"Work": work}, contract=contract) as service:
        before = asyncio.all_tasks()
        async with call_service(service.address) as client:
            stream = client.open()
            await stream.init(chain(node("n", "Work")))
            await stream.chunk("n", tone(), 0)
            await began.wait()
            if hangs_up:
                await client.channel.close()
            else:
                stream.call.cancel()
            await asyncio.wait_for(ended.wait(), 5)
        # Nothing is left of the session on the service's side.
        async with call_service(service.address) as client:
            await client.version()
        assert asyncio.all_tasks() == before


RESAMPLE = chain(
    node("rate", "AudioResample", target_sample_rate=8_000), node("ear", "VAD")
)


async def streamed(stream: CoreStream, chunks: int = 3) -> int:
    """Stream chunks of 100 ms, and return how many samples came back."""
    await opened(stream, RESAMPLE)
    samples = 0
    for sequence in range(chunks):
        await stream.chunk("rate", tone(), sequence)
        result = await stream.read("result")
        # Without audio there is no verdict.
        assert result.data_outputs.keys() == result.audio_outputs.keys()
        samples += sum(audio.num_samples for audio in result.audio_outputs.values())
    return samples


@pytest.mark.parametrize("is_half_closed", [False, True])
async def test_what_a_node_held_back_is_the_last_result(
    stream: CoreStream, is_half_closed: bool
) -> None:
    samples = await streamed(stream)
    assert samples < 2_400
    if is_half_closed:
        await stream.call.done_writing()
    else:
        await stream.control(CLOSE)
    result = await stream.read("result")
    assert result.sequence == 2
    assert samples + result.audio_outputs["ear"].num_samples == 2_400
    assert result.total_samples_processed == 4_800
    assert json.loads(result.data_outputs["ear"])["has_speech"] is True
    if not is_half_closed:
        closed = await stream.read("closed")
        assert closed.final_metrics.node_metrics["ear"].samples_processed == 2_400
    assert await stream.ends_well()


async def test_cancel_drops_what_a_node_held_back(stream: CoreStream) -> None:
    await streamed(stream)
    await stream.control(CANCEL)
    await stream.read("closed")
    assert await stream.ends_well()


@pytest.mark.parametrize("manifest", [PASS, RESAMPLE])
async def test_closing_without_a_chunk_gives_no_result(
    stream: CoreStream, manifest: PipelineManifest
) -> None:
    await opened(stream, manifest)
    await stream.control(CLOSE)
    await stream.read("closed")


async def test_a_filter_that_holds_nothing_back_gives_no_last_result(
    stream: CoreStream,
) -> None:
    await opened(stream, RESAMPLE)
    await stream.chunk("rate", tone(800, 8_000), 0)
    await stream.read("result")
    await stream.control(CLOSE)
    await stream.read("closed")


async def test_a_node_that_fails_in_its_last_call_fails_the_session(
    serve: Serve,
) -> None:
    class Fail(Node):
        def process(self, call: NodeCall) -> None:
            pass

        def process_last(self, call: NodeCall) -> None:
            raise OSError("disk full")

    async with serve(nodes={"Fail": Fail}) as client:
        stream = client.open()
        await opened(stream, chain(node("n", "Fail")))
        await stream.chunk("n", tone(), 0)
        await stream.read("result")
        await stream.control(CLOSE)
        await error(stream, "Node execution error in n: disk full")


async def test_a_node_that_raises_cancelled_error_ends_the_session(
    serve: Serve,
) -> None:
    async def fail(call: NodeCall) -> None:
        raise asyncio.CancelledError

    async with serve(nodes={"Fail": fail}) as client:
        stream = client.open()
        await opened(stream, chain(node("n", "Fail")))
        await stream.chunk("n", tone(), 0)
        await error(stream, "Node execution error in n: the node raised CancelledError")
