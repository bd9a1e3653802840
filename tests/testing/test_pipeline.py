"""Pipelines without a network: order, outputs, metrics, failures, limits."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remotemedia.errors import RemoteMediaError
from remotemedia.testing import Json, Node, NodeCall, NodeOutput
from remotemedia.testing.audio_front import JsonText, node_inputs
from remotemedia.testing.limits import in_force
from remotemedia.testing.node import NodeType
from remotemedia.testing.nodes import REFERENCE_NODES
from remotemedia.testing.pipeline import NodeInput, Outputs, Pipeline
from remotemedia.v1 import (
    AudioBuffer,
    ErrorType,
    NodeManifest,
    PipelineManifest,
    ResourceLimits,
)
from tests.support.pipelines import tone
from tests.testing.manifests import chain, graph, node


def build(
    manifest: PipelineManifest,
    data: Mapping[str, str] | None = None,
    limits: ResourceLimits | None = None,
    **node_types: NodeType,
) -> Pipeline[str]:
    return Pipeline(
        manifest,
        node_inputs({}, data or {}),
        in_force(limits or ResourceLimits(), ResourceLimits()),
        {**REFERENCE_NODES, **node_types},
        JsonText(),
    )


def sent(**audio: AudioBuffer) -> dict[str, NodeInput]:
    """Audio for nodes."""
    return node_inputs(audio, {})


class Listen(Node):
    """Gives its audio, and beside it how long it is."""

    def process(self, call: NodeCall) -> NodeOutput:
        return NodeOutput(call.audio, call.audio.frames if call.audio else None)


async def test_nodes_run_along_the_connections() -> None:
    # In the manifest's order the result would be another one.
    manifest = graph(
        node("twice", "MultiplyNode", operand=2),
        node("plus", "AddNode", operand=3),
        connections=[("plus", "twice")],
    )
    pipeline = build(manifest, {"plus": "10"})
    assert pipeline.node_ids == ["plus", "twice"]
    assert await pipeline.run({}) == Outputs(data={"twice": "26"})


@given(st.lists(st.sampled_from(["AddNode", "MultiplyNode"]), min_size=1, max_size=8))
def test_a_chain_is_its_nodes_one_after_the_other(types: list[str]) -> None:
    manifest = chain(*(node(f"n{i}", t, operand=i) for i, t in enumerate(types)))
    expected = 7
    for operand, node_type in enumerate(types):
        is_add = node_type == "AddNode"
        expected = expected + operand if is_add else expected * operand
    outputs = asyncio.run(build(manifest, {"n0": "7"}).run({}))
    assert outputs.data == {f"n{len(types) - 1}": str(expected)}


async def test_audio_comes_back_from_every_sink_and_only_from_them() -> None:
    manifest = graph(
        *(node(name, "PassThrough") for name in "abc"),
        connections=[("a", "b"), ("a", "c")],
    )
    audio = tone()
    assert await build(manifest).run(sent(a=audio)) == Outputs({"b": audio, "c": audio})


async def test_data_beside_audio_comes_back_from_any_node() -> None:
    manifest = chain(node("ear", "Listen"), node("end", "AddNode", operand=1))
    outputs = await build(manifest, Listen=Listen).run(sent(ear=tone(800)))
    assert outputs == Outputs(data={"ear": "800", "end": "801"})


async def test_the_client_s_input_comes_before_the_connections() -> None:
    manifest = chain(node("a", "AddNode", operand=0), node("b", "AddNode", operand=0))
    outputs = await build(manifest, {"a": "1", "b": "2"}).run({})
    assert outputs.data == {"b": "2"}


async def test_a_node_that_joins_sees_all_that_is_connected() -> None:
    def join(call: NodeCall) -> Any:
        return {name: output.data for name, output in call.upstream.items()}

    manifest = graph(
        node("join", "Join"),
        node("b", "AddNode", operand=2),
        node("a", "AddNode", operand=1),
        connections=[("b", "join"), ("a", "join"), ("b", "join")],
    )
    outputs = await build(manifest, {"a": "0", "b": "0"}, Join=join).run({})
    assert outputs.data["join"] == json.dumps({"b": 2, "a": 1})


async def test_a_function_gets_params_and_the_limits() -> None:
    def tell(call: NodeCall) -> Json:
        return [call.params["x"], call.limits.max_timeout_ms, call.sequence]

    pipeline = build(
        chain(node("n", "Tell", x=[1])),
        limits=ResourceLimits(max_timeout_ms=9_000),
        Tell=tell,
    )
    assert await pipeline.run({}) == Outputs(data={"n": "[[1], 9000, null]"})


async def test_a_chunk_runs_only_the_nodes_that_it_reaches() -> None:
    ran: list[str] = []

    def note(call: NodeCall) -> NodeOutput:
        ran.append(call.node_id)
        return NodeOutput(call.audio)

    manifest = graph(
        *(node(name, "Note") for name in ("left", "right", "after_left", "set")),
        connections=[("left", "after_left")],
    )
    pipeline = build(manifest, {"set": "1"}, Note=note)
    await pipeline.run(sent(left=tone()), 0)
    assert ran == ["left", "set", "after_left"]
    ran.clear()
    await pipeline.run(sent(left=tone()))
    assert set(ran) == {"left", "right", "after_left", "set"}


async def test_nodes_live_as_long_as_the_pipeline() -> None:
    manifest = chain(node("e", "Echo"))
    pipeline = build(manifest, {"e": "0"})
    counters = []
    for sequence in range(3):
        outputs = await pipeline.run({}, sequence)
        counters.append(json.loads(outputs.data["e"])["counter"])
    assert counters == [1, 2, 3]
    fresh = await build(manifest, {"e": "0"}).run({})
    assert json.loads(fresh.data["e"])["counter"] == 1


async def test_metrics_add_up_over_runs() -> None:
    manifest = chain(node("a", "PassThrough"), node("b", "PassThrough"))
    pipeline = build(manifest)
    for sequence in range(2):
        await pipeline.run(sent(a=tone(100)), sequence)
    metrics = pipeline.metrics(0.25)
    assert pipeline.samples == 200
    assert metrics.serialization_time_ms == 250
    assert metrics.memory_used_bytes == 400
    assert set(metrics.node_metrics) == {"a", "b"}
    parts = [found.execution_time_ms for found in metrics.node_metrics.values()]
    assert 0 < sum(parts) < metrics.wall_time_ms
    for found in metrics.node_metrics.values():
        assert (found.samples_processed, found.memory_bytes) == (200, 400)


async def test_the_processor_time_of_all_runs_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = 100.0

    def work(call: NodeCall) -> None:
        nonlocal clock
        clock += 0.25

    monkeypatch.setattr("time.thread_time", lambda: clock)
    pipeline = build(chain(node("n", "Work")), Work=work)
    for _ in range(2):
        await pipeline.run({})
    assert pipeline.metrics(0).cpu_time_ms == 500


async def test_the_times_of_runs_and_nodes_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = 100.0

    def work(call: NodeCall) -> None:
        nonlocal clock
        clock += 0.25

    monkeypatch.setattr("time.perf_counter", lambda: clock)
    pipeline = build(chain(node("n", "Work")), Work=work)
    for _ in range(2):
        await pipeline.run({})
    metrics = pipeline.metrics(0)
    assert pipeline.seconds == 0.5
    assert metrics.wall_time_ms == 500
    assert metrics.node_metrics["n"].execution_time_ms == 500


def refused(*arguments: object, **node_types: NodeType) -> RemoteMediaError:
    with pytest.raises(RemoteMediaError) as caught:
        build(*arguments, **node_types)  # type: ignore[arg-type]  # passed through
    assert caught.value.error_type is ErrorType.VALIDATION
    return caught.value


def test_an_unknown_node_type_is_named_with_those_that_there_are() -> None:
    error = refused(chain(node("n", "Nope")), Own=lambda call: None)
    assert error.failing_node_id == "n"
    for word in ("'n'", "'Nope'", "CalculatorNode", "Own"):
        assert word in error.message


def test_the_manifest_is_checked() -> None:
    loop = [("a", "b"), ("b", "a")]
    nodes = [node("a", "Echo"), node("b", "Echo")]
    assert "cycle" in refused(graph(*nodes, connections=loop)).message
    unnamed = graph(*nodes, connections=[])
    unnamed.metadata.name = ""
    assert "metadata.name" in refused(unnamed).message


async def test_a_node_may_have_no_params() -> None:
    manifest = graph(NodeManifest(id="n", node_type="Own"), connections=[])
    outputs = await build(manifest, Own=lambda call: dict(call.params)).run({})
    assert outputs.data == {"n": "{}"}


def test_a_node_s_params_are_checked() -> None:
    error = refused(chain(node("n", "CalculatorNode", operation="add")))
    assert error.failing_node_id == "n"
    assert "operand" in error.message


def test_an_exception_while_a_node_is_made_is_its_failure() -> None:
    class Gain(Node):
        def __init__(self, params: Mapping[str, Any]) -> None:
            self.gain = params["gain"]

        def process(self, call: NodeCall) -> None:
            pass

    with pytest.raises(RemoteMediaError, match="'gain'") as caught:
        build(chain(node("n", "Gain")), Gain=Gain)
    assert caught.value.error_type is ErrorType.NODE_EXECUTION
    assert caught.value.failing_node_id == "n"


@pytest.mark.parametrize("text", ["", "{", "NaN", "[" * 100_000])
def test_data_inputs_must_be_json(text: str) -> None:
    error = refused(chain(node("n", "Echo")), {"n": text})
    assert error.failing_node_id == "n"
    assert "data_inputs['n'] is not valid JSON" in error.message


def test_data_for_an_unknown_node_is_refused() -> None:
    message = refused(chain(node("n", "Echo")), {"m": "1"}).message
    assert "there is data for node 'm'" in message


async def failed(pipeline: Pipeline[str], **audio: AudioBuffer) -> RemoteMediaError:
    with pytest.raises(RemoteMediaError) as caught:
        await pipeline.run(sent(**audio))
    return caught.value


async def test_audio_for_an_unknown_node_is_refused() -> None:
    error = await failed(build(chain(node("n", "Echo"))), m=tone())
    assert error.error_type is ErrorType.VALIDATION
    assert "there is audio for node 'm'" in error.message


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("format", 0),
        ("format", 9),
        ("sample_rate", 0),
        ("channels", 0),
        ("num_samples", 1),
    ],
)
async def test_bad_audio_is_refused_by_its_node(field: str, value: int) -> None:
    audio = tone()
    setattr(audio, field, value)
    error = await failed(build(chain(node("n", "Echo"))), n=audio)
    assert error.error_type is ErrorType.VALIDATION
    assert error.failing_node_id == "n"
    assert field in error.message


def broken_audio(call: NodeCall) -> AudioBuffer:
    return AudioBuffer(samples=b"x")


def raise_own(call: NodeCall) -> None:
    raise RemoteMediaError("busy", error_type=ErrorType.RESOURCE_LIMIT)


def raise_wordless(call: NodeCall) -> None:
    raise KeyError


@pytest.mark.parametrize(
    ("function", "error_type", "message"),
    [
        (lambda call: 1 / 0, ErrorType.NODE_EXECUTION, "division by zero"),
        (raise_wordless, ErrorType.NODE_EXECUTION, "KeyError"),
        (lambda call: float("inf"), ErrorType.NODE_EXECUTION, "JSON"),
        (lambda call: {1, 2}, ErrorType.NODE_EXECUTION, "set is not JSON"),
        (broken_audio, ErrorType.NODE_EXECUTION, "AudioBuffer.format"),
        (raise_own, ErrorType.RESOURCE_LIMIT, "busy"),
    ],
)
async def test_a_node_s_failure_names_it(
    function: NodeType, error_type: ErrorType, message: str
) -> None:
    error = await failed(build(chain(node("n", "Own")), Own=function))
    assert (error.error_type, error.failing_node_id) == (error_type, "n")
    assert message in error.message


@pytest.mark.parametrize(("received", "returned"), [(101, 1), (51, 102)])
async def test_samples_are_limited_in_and_out(received: int, returned: int) -> None:
    limits = ResourceLimits(max_audio_samples=100)
    manifest = chain(node("n", "Own"))
    pipeline = build(manifest, {}, limits, Own=lambda call: tone(returned))
    error = await failed(pipeline, n=tone(received))
    assert error.error_type is ErrorType.RESOURCE_LIMIT
    assert "max_audio_samples is 100" in error.message


async def test_memory_is_limited_over_all_nodes() -> None:
    manifest = chain(node("a", "More"), node("b", "More"))
    limits = ResourceLimits(max_memory_bytes=1_000)
    pipeline = build(manifest, {}, limits, More=lambda call: tone(100))
    error = await failed(pipeline, a=tone(100))
    assert error.error_type is ErrorType.RESOURCE_LIMIT
    assert error.failing_node_id == "b"
    assert "1200 bytes" in error.message


async def test_a_node_that_takes_too_long_is_cancelled() -> None:
    cancelled = []

    async def forever(call: NodeCall) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(call.node_id)
            raise

    limits = ResourceLimits(max_timeout_ms=50)
    error = await failed(build(chain(node("n", "Slow")), {}, limits, Slow=forever))
    assert error.error_type is ErrorType.RESOURCE_LIMIT
    assert "time limit of 50 ms" in error.message
    assert cancelled == ["n"]


async def test_a_node_that_blocks_is_too_late_when_it_returns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = 0.0

    class Block(Node):
        def process(self, call: NodeCall) -> None:
            nonlocal clock
            clock += took_s

    monkeypatch.setattr("time.perf_counter", lambda: clock)
    took_s = 5.0
    await build(chain(node("n", "Block")), Block=Block).run({})
    took_s = 5.001
    error = await failed(build(chain(node("n", "Block")), Block=Block))
    assert error.error_type is ErrorType.RESOURCE_LIMIT
    assert "time limit of 5000 ms" in error.message


async def test_a_node_s_own_timeout_is_its_failure() -> None:
    async def give_up(call: NodeCall) -> None:
        raise asyncio.TimeoutError("no answer")

    error = await failed(build(chain(node("n", "Own")), Own=give_up))
    assert error.error_type is ErrorType.NODE_EXECUTION
    assert error.message == "no answer"


class Delay(Node):
    """Holds back what it gets until the next call; the last call gives all of it."""

    held: AudioBuffer | None = None

    def process(self, call: NodeCall) -> AudioBuffer | None:
        given, self.held = self.held, call.audio
        return given

    def process_last(self, call: NodeCall) -> AudioBuffer | None:
        rest = [audio for audio in (self.held, call.audio) if audio is not None]
        if not rest:
            return None
        joined = np.concatenate([audio.to_numpy() for audio in rest])
        return AudioBuffer.from_numpy(joined, rest[0].sample_rate)


async def test_what_nodes_hold_back_runs_through_the_nodes_after_them() -> None:
    manifest = chain(node("one", "Delay"), node("two", "Delay"), node("end", "Listen"))
    pipeline = build(manifest, Delay=Delay, Listen=Listen)
    first, second, third = tone(1_920).chunks(640)
    assert await pipeline.run(sent(one=first), 0) == Outputs()
    assert await pipeline.run(sent(one=second), 1) == Outputs()
    assert await pipeline.run(sent(one=third), 2) == Outputs(
        {"end": first}, {"end": "640"}
    )
    outputs = await pipeline.run({}, 2, is_end=True)
    assert outputs.data == {"end": "1280"}
    joined = np.concatenate([second.to_numpy(), third.to_numpy()])
    np.testing.assert_array_equal(outputs.audio["end"].to_numpy(), joined)


async def test_an_execution_holds_nothing_back() -> None:
    manifest = chain(node("one", "Delay"), node("end", "Listen"))
    pipeline = build(manifest, Delay=Delay, Listen=Listen)
    assert await pipeline.run(sent(one=tone())) == Outputs(
        {"end": tone()}, {"end": "1600"}
    )


async def test_the_end_of_a_session_runs_only_nodes_that_held_something_back() -> None:
    ran: list[str] = []

    def note(call: NodeCall) -> NodeOutput:
        ran.append(call.node_id)
        return NodeOutput(call.audio, call.data)

    manifest = graph(
        *(node(name, "Note") for name in ("before", "beside")),
        node("held", "Delay"),
        node("after", "Note"),
        connections=[("before", "held"), ("held", "after")],
    )
    pipeline = build(manifest, {"beside": "1", "after": "2"}, Note=note, Delay=Delay)
    assert await pipeline.run({}, 0, is_end=True) == Outputs()
    assert ran == []
    await pipeline.run(sent(before=tone()), 0)
    ran.clear()
    outputs = await pipeline.run({}, 0, is_end=True)
    # The client's data for a node goes with its audio.
    assert (ran, outputs) == (["after"], Outputs({"after": tone()}, {"after": "2"}))


@pytest.mark.parametrize(
    ("node_type", "has_last_calls"), [("Delay", True), ("Listen", False)]
)
def test_a_pipeline_knows_whether_it_may_hold_something_back(
    node_type: str, has_last_calls: bool
) -> None:
    manifest = chain(node("a", "Echo"), node("b", node_type))
    pipeline = build(manifest, Delay=Delay, Listen=Listen)
    assert pipeline.has_last_calls is has_last_calls


async def cancel_itself(call: NodeCall) -> None:
    raise asyncio.CancelledError


def exit_in_a_thread(call: NodeCall) -> None:
    sys.exit("no model")


async def exit_in_a_task(call: NodeCall) -> None:
    sys.exit("no model")


class ExitAtOnce(Node):
    def process(self, call: NodeCall) -> None:
        sys.exit("no model")


@pytest.mark.parametrize("node_type", [exit_in_a_thread, exit_in_a_task, ExitAtOnce])
async def test_a_node_that_exits_failed(node_type: NodeType) -> None:
    error = await failed(build(chain(node("n", "Own")), Own=node_type))
    assert (error.error_type, error.failing_node_id) == (ErrorType.NODE_EXECUTION, "n")
    assert error.message.endswith("no model")


def fail(call: NodeCall) -> None:
    pytest.fail("must not be called")


async def fail_in_a_task(call: NodeCall) -> None:
    pytest.fail("must not be called")


@pytest.mark.parametrize("node_type", [fail, fail_in_a_task])
async def test_a_node_that_fails_a_test_failed(node_type: NodeType) -> None:
    """What pytest raises is not an `Exception`."""
    error = await failed(build(chain(node("n", "Own")), Own=node_type))
    assert error.error_type is ErrorType.NODE_EXECUTION
    assert error.message == "must not be called"


async def cancel_its_task(call: NodeCall) -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)


def cancel_in_a_thread(call: NodeCall) -> None:
    raise asyncio.CancelledError


class CancelAtOnce(Node):
    def process(self, call: NodeCall) -> None:
        raise asyncio.CancelledError


@pytest.mark.parametrize(
    "node_type", [cancel_itself, cancel_its_task, cancel_in_a_thread, CancelAtOnce]
)
async def test_a_node_that_raises_cancelled_error_failed(node_type: NodeType) -> None:
    error = await failed(build(chain(node("n", "Own")), Own=node_type))
    assert error.error_type is ErrorType.NODE_EXECUTION
    assert error.failing_node_id == "n"
    assert error.message == "the node raised CancelledError"


async def test_cancelling_a_run_cancels_its_node() -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def work(call: NodeCall) -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    run = asyncio.create_task(build(chain(node("n", "Work")), Work=work).run({}))
    await began.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert ended.is_set()


async def test_a_node_that_fails_as_it_is_too_late_is_too_late() -> None:
    async def fail(call: NodeCall) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise OSError

    limits = ResourceLimits(max_timeout_ms=50)
    error = await failed(build(chain(node("n", "Slow")), {}, limits, Slow=fail))
    assert error.error_type is ErrorType.RESOURCE_LIMIT


def test_an_unknown_parameter_is_refused_with_a_suggestion() -> None:
    error = refused(chain(node("n", "AddNode", operant=1)))
    assert error.failing_node_id == "n"
    assert error.message == (
        "node 'n', AddNode: there is no parameter 'operant'; did you mean 'operand'?"
    )
