"""Runs a pipeline: its nodes, one after the other, in the order of the connections.

An execution runs every node. A chunk of a session runs only the nodes that have an
input: from the client, or from an upstream node that returned something. When the
client closes a session, each node gets a last call, to return what it held back.

A sink is a node that no connection leaves. A run returns the audio and the data of the
sinks, and the data of any other node that returned data together with audio.

The pipeline is the same for both contracts. What data may be, and the form in which it
leaves, is the business of a ``Carrier``.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from remotemedia import manifest as manifests
from remotemedia.errors import RemoteMediaError
from remotemedia.testing.failures import invalid
from remotemedia.testing.limits import MemoryMeter, check_samples, exceeded
from remotemedia.testing.node import (
    Data,
    Node,
    NodeCall,
    NodeOutput,
    NodeReturn,
    NodeType,
    make_node,
)
from remotemedia.v1 import (
    AudioBuffer,
    ErrorType,
    ExecutionMetrics,
    NodeManifest,
    NodeMetrics,
    PipelineManifest,
    ResourceLimits,
)
from remotemedia.values import Json

T = TypeVar("T")
DataT = TypeVar("DataT")
DataT_co = TypeVar("DataT_co", covariant=True)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class NodeInput:
    """What a client sends to a node.

    Attributes:
        audio: the audio, if any.
        data: the data, if any.
        named: several inputs at once, by name. For the node, they are like outputs of
            upstream nodes of these names.
    """

    audio: AudioBuffer | None = None
    data: Data = None
    named: Mapping[str, NodeOutput] = field(default_factory=dict)

    @property
    def values(self) -> list[NodeOutput]:
        """All that there is."""
        return [NodeOutput(self.audio, self.data), *self.named.values()]


_NO_INPUT = NodeInput()


@dataclass(frozen=True)
class Outputs(Generic[DataT]):
    """The outputs of one run of a pipeline, by node id; data as it leaves."""

    audio: dict[str, AudioBuffer] = field(default_factory=dict)
    data: dict[str, DataT] = field(default_factory=dict)


class Carrier(Protocol[DataT_co]):
    """Says what the data of nodes may be, and makes of it what leaves."""

    def take(self, data: Data) -> Data:
        """Return data that a node returned, as the nodes after it get it.

        Raises:
            TypeError: the contract has no such kind of data.
            ValueError: the data is not valid.
        """
        ...

    def encode(self, data: Data) -> DataT_co:
        """Return data of a node as it leaves.

        Raises:
            TypeError: JSON cannot say it.
            ValueError: JSON cannot say it.
        """
        ...


@dataclass(frozen=True)
class _Step:
    """A node of the pipeline, with the ids of its upstream nodes."""

    node_id: str
    params: Mapping[str, Json]
    node: Node
    sources: list[str]


class Pipeline(Generic[DataT]):
    """A checked pipeline with its nodes, to be run once or many times.

    Attributes:
        node_ids: the ids of the nodes, in the order in which they run.
        sinks: the ids of the nodes that no connection leaves.
        has_last_calls: whether a node of the pipeline may hold something back.
        samples: the samples, over all channels, that were received so far.
        seconds: the time that all runs have taken so far.
        memory: counts the audio and other media that a run holds.
    """

    def __init__(
        self,
        manifest: PipelineManifest,
        inputs: Mapping[str, NodeInput],
        limits: ResourceLimits,
        node_types: Mapping[str, NodeType],
        carrier: Carrier[DataT],
    ) -> None:
        """Check the manifest and make its nodes.

        Args:
            manifest: the pipeline.
            inputs: what the client sends by node id; the same for every run.
            limits: the limits that apply; the time limit is for each run.
            node_types: the node types of the service, by name.
            carrier: what the contract says about data.

        Raises:
            RemoteMediaError: VALIDATION, if the request is wrong; NODE_EXECUTION, if
                a node could not be made.
        """
        manifests.check(manifest)
        nodes = manifests.execution_order(manifest)
        sources: dict[str, list[str]] = {node.id: [] for node in nodes}
        for connection in manifest.connections:
            sources[connection.to].append(connection.from_)
        leaving = {connection.from_ for connection in manifest.connections}
        self._steps = [_make_step(node, sources[node.id], node_types) for node in nodes]
        self.node_ids: list[str] = [node.id for node in nodes]
        self.sinks: list[str] = [node.id for node in nodes if node.id not in leaving]
        self.has_last_calls: bool = any(
            type(step.node).process_last is not Node.process_last
            for step in self._steps
        )
        self.samples: int = 0
        self.seconds: float = 0.0
        self.memory: MemoryMeter = MemoryMeter(limits)
        self._limits = limits
        self._cpu_seconds = 0.0
        self._node_metrics = {node_id: NodeMetrics() for node_id in self.node_ids}
        self._carrier = carrier
        for node_id, given in inputs.items():
            self._check_input(node_id, given)
        self._inputs = inputs

    async def run(
        self,
        inputs: Mapping[str, NodeInput],
        sequence: int | None = None,
        *,
        is_end: bool = False,
    ) -> Outputs[DataT]:
        """Run the nodes.

        Args:
            inputs: what the client sends for this run, by node id; it comes before what
                it sends for every run. Empty at the end of a session.
            sequence: the number of the chunk in its session; None for an execution.
            is_end: whether the client closed the session after that chunk.

        Raises:
            RemoteMediaError: the input is not valid, a node failed, or a limit was
                exceeded; `failing_node_id` is the id of the node.
        """
        self.memory.clear()
        for node_id, given in inputs.items():
            self._check_input(node_id, given)
        for node_id, given in (*self._inputs.items(), *inputs.items()):
            for value in given.values:
                self._hold(value, node_id)
        started, cpu_started = time.perf_counter(), time.thread_time()
        try:
            return await self._run(inputs, sequence, is_end, started)
        finally:
            self.seconds += time.perf_counter() - started
            self._cpu_seconds += time.thread_time() - cpu_started

    def metrics(self, serialization_seconds: float) -> ExecutionMetrics:
        """The cost of all runs so far.

        The processor time is that of the service's thread during the runs. If a node
        waited, it includes the work of other calls in that time.

        Args:
            serialization_seconds: the time that decoding and encoding messages took.
        """
        return ExecutionMetrics(
            wall_time_ms=self.seconds * 1000,
            cpu_time_ms=self._cpu_seconds * 1000,
            memory_used_bytes=self.memory.peak_bytes,
            node_metrics=self._node_metrics,
            serialization_time_ms=serialization_seconds * 1000,
        )

    async def _run(
        self,
        inputs: Mapping[str, NodeInput],
        sequence: int | None,
        is_end: bool,
        started: float,
    ) -> Outputs[DataT]:
        given: dict[str, NodeOutput] = {}
        outputs = Outputs[DataT]()
        for step in self._steps:
            upstream = {source: given[source] for source in step.sources}
            sent = inputs.get(step.node_id, _NO_INPUT)
            came = [*sent.values, *upstream.values()]
            # What the client sends for every run goes with its chunks. At the end, it
            # is no input of its own.
            standing = self._inputs.get(step.node_id, _NO_INPUT)
            if is_end and not any(value.is_something for value in came):
                standing = _NO_INPUT
            values = [*sent.values, *standing.values, *upstream.values()]
            audio = _first(*(value.audio for value in values))
            data = _first(*(value.data for value in values))
            call = NodeCall(
                step.node_id,
                step.params,
                audio,
                data,
                {**upstream, **standing.named, **sent.named},
                self._limits,
                sequence,
            )
            is_last = is_end or sequence is None
            if not is_last and audio is None and data is None:
                given[step.node_id] = NodeOutput()
                continue
            process = step.node.process_last if is_last else step.node.process
            with _attributed_to(step.node_id):
                output = await self._process(process, call, started)
                given[step.node_id] = output
                self._return(step.node_id, output, outputs)
        return outputs

    def _return(
        self, node_id: str, output: NodeOutput, outputs: Outputs[DataT]
    ) -> None:
        """Add the output of a node to the outputs of the run, as far as it belongs."""
        is_sink = node_id in self.sinks
        if is_sink and output.audio is not None:
            outputs.audio[node_id] = output.audio
        if output.data is not None and (is_sink or output.audio is not None):
            outputs.data[node_id] = self._carrier.encode(output.data)

    async def _process(
        self,
        process: Callable[[NodeCall], NodeReturn | Awaitable[NodeReturn]],
        call: NodeCall,
        run_started: float,
    ) -> NodeOutput:
        """Call one node, within the time that the run has left."""
        limit = self._limits.max_timeout_ms / 1000
        started = time.perf_counter()
        result = _without_cancelling(lambda: process(call))
        if isinstance(result, Awaitable):
            task = asyncio.ensure_future(_without_exit(result))
            left = limit - (time.perf_counter() - run_started)
            try:
                await asyncio.wait({task}, timeout=left)
                is_late = not task.done()
            finally:
                # Late, or the call was cancelled.
                if not task.done():
                    task.cancel()
                    await asyncio.gather(task, return_exceptions=True)
            if is_late:
                raise self._too_late(call)
            result = _without_cancelling(task.result)
        finished = time.perf_counter()
        if finished - run_started > limit:
            raise self._too_late(call)
        output = self._to_output(result)
        metrics = self._node_metrics[call.node_id]
        metrics.execution_time_ms += (finished - started) * 1000
        if call.audio is not None:
            metrics.samples_processed += call.audio.num_samples
        if output.audio is not None:
            output.audio.validate()
            check_samples(output.audio.num_samples, self._limits, call.node_id)
        held_bytes = self._hold(output, call.node_id)
        metrics.memory_bytes = max(metrics.memory_bytes, held_bytes)
        return output

    def _to_output(self, result: NodeReturn) -> NodeOutput:
        if isinstance(result, AudioBuffer):
            return NodeOutput(audio=result)
        if not isinstance(result, NodeOutput):
            result = NodeOutput(data=result)
        data = self._carrier.take(result.data)
        return result if data is result.data else NodeOutput(result.audio, data)

    def _hold(self, value: NodeOutput, node_id: str) -> int:
        """Count the memory of a value, and return how many bytes that is."""
        audio_bytes = self.memory.add(value.audio, node_id)
        return audio_bytes + self.memory.add(value.data, node_id)

    def _too_late(self, call: NodeCall) -> RemoteMediaError:
        return exceeded(
            f"the time limit of {self._limits.max_timeout_ms} ms passed", call.node_id
        )

    def _check_input(self, node_id: str, given: NodeInput) -> None:
        if node_id not in self._node_metrics:
            what = "data" if given.audio is None else "audio"
            raise invalid(
                f"there is {what} for node {node_id!r}, and no such node in the "
                f"manifest; it has {', '.join(sorted(self._node_metrics))}",
                node_id,
            )
        for value in given.values:
            if value.audio is not None:
                self._check_audio(node_id, value.audio)

    def _check_audio(self, node_id: str, buffer: AudioBuffer) -> None:
        check_samples(buffer.num_samples, self._limits, node_id)
        try:
            buffer.validate()
        except (TypeError, ValueError) as error:
            raise invalid(
                f"the audio for node {node_id!r} is not valid: {error}", node_id
            ) from error
        self.samples += buffer.num_samples


def _make_step(
    node: NodeManifest, sources: list[str], node_types: Mapping[str, NodeType]
) -> _Step:
    node_type = node_types.get(node.node_type)
    if node_type is None:
        raise invalid(
            f"node {node.id!r} has the unknown node type {node.node_type!r}; "
            f"this service has {', '.join(sorted(node_types))}",
            node.id,
        )
    params = json.loads(node.params or "{}")
    with _attributed_to(node.id):
        try:
            made = make_node(node_type, params)
        except ValueError as error:
            raise invalid(
                f"node {node.id!r}, {node.node_type}: {error}", node.id
            ) from error
    return _Step(node.id, params, made, sources)


@contextmanager
def _attributed_to(node_id: str) -> Iterator[None]:
    """Turn an exception of a node into an error that names the node."""
    try:
        yield
    except RemoteMediaError as error:
        error.failing_node_id = error.failing_node_id or node_id
        raise
    except (asyncio.CancelledError, GeneratorExit, KeyboardInterrupt):
        raise
    except BaseException as error:
        # Among them is what pytest.fail raises. The client gets only the message; the
        # log has the traceback.
        _log.info("node %s failed", node_id, exc_info=True)
        raise RemoteMediaError(
            str(error) or type(error).__name__,
            error_type=ErrorType.NODE_EXECUTION,
            failing_node_id=node_id,
        ) from error


async def _without_exit(result: Awaitable[T]) -> T:
    """Wait for what a node returned; a task that exits would end the whole event loop.

    Raises:
        RuntimeError: the node raised SystemExit.
    """
    try:
        return await result
    except SystemExit as error:
        raise RuntimeError(f"the node raised SystemExit: {error}") from error


def _without_cancelling(function: Callable[[], T]) -> T:
    """Call a function, and tell its own CancelledError from a cancellation of the call.

    Raises:
        RuntimeError: the function raised CancelledError.
    """
    try:
        return function()
    except asyncio.CancelledError as error:
        raise RuntimeError("the node raised CancelledError") from error


def _first(*values: T | None) -> T | None:
    return next((value for value in values if value is not None), None)
