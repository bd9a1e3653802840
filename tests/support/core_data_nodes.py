"""The nodes and pipelines of ``core_data_server``, on messages of Google's protobuf.

They behave as those of the service of April 2026 do. Only what comes out of a sink, a
node that leads nowhere, is sent. What passes a pipeline loses what the service's own
representation does not hold.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from graphlib import CycleError, TopologicalSorter
from typing import Any

import numpy as np

from tests.support.core_server import OPERATIONS

# Messages of Google's protobuf, which have no types here.
Message = Any
Types = Any

FRAMES_OF_A_BLOCK = 1024
"""The resampler's block: what does not fill one is held back, and lost at the end."""

DTYPES = {1: "<f4", 2: "<i2", 3: "<i4"}
SCALES = {1: 1.0, 2: 2.0**15, 3: 2.0**31}
PIXEL_BYTES = {1: 3, 2: 4, 4: 1}


class InvalidPipeline(Exception):  # noqa: N818 - the service's word for it
    """The manifest is no pipeline that can be run."""


class NodeFailed(Exception):  # noqa: N818 - the service's word for it
    """A node could not process what it got."""


class Node:
    """One node of a pipeline; it yields none, one or several buffers for each."""

    def __init__(self, types: Types, params: dict[str, Any]) -> None:
        self.types = types
        self.params = params

    def process(self, buffer: Message) -> Iterator[Message]:
        yield buffer

    def audio(self, buffer: Message) -> Message:
        if buffer.WhichOneof("data_type") != "audio":
            raise NodeFailed("requires audio input")
        return buffer.audio

    def samples(self, buffer: Message) -> Any:
        """Return the frames of audio, which is F32 inside a pipeline."""
        audio = self.audio(buffer)
        return np.frombuffer(audio.samples, "<f4").reshape(-1, audio.channels or 1)

    def audio_buffer(self, frames: Any, rate: int) -> Message:
        return self.types.DataBuffer(
            audio=self.types.AudioBuffer(
                samples=frames.astype("<f4").tobytes(),
                sample_rate=rate,
                channels=frames.shape[1],
                format=1,
                num_samples=frames.size,
            )
        )

    def json_buffer(self, value: object) -> Message:
        text = json.dumps(value)
        return self.types.DataBuffer(json=self.types.JsonData(json_payload=text))


class Calculator(Node):
    def process(self, buffer: Message) -> Iterator[Message]:
        if buffer.WhichOneof("data_type") != "json":
            raise NodeFailed("requires JSON input")
        operation: Any = OPERATIONS[self.params["operation"]]
        try:
            found = operation(
                json.loads(buffer.json.json_payload), self.params["operand"]
            )
        except (ArithmeticError, TypeError, ValueError) as error:
            raise NodeFailed(str(error)) from error
        yield self.json_buffer(found)


class AudioLevel(Node):
    def process(self, buffer: Message) -> Iterator[Message]:
        samples = self.samples(buffer)
        rms = math.sqrt(float((samples.astype(float) ** 2).mean()))
        peak = float(abs(samples).max())
        yield self.json_buffer(
            {
                "rms_db": 20 * math.log10(max(rms, 1e-10)),
                "peak_db": 20 * math.log10(max(peak, 1e-10)),
                "is_silence": rms < 1e-3,
                "health": 1.0,
            }
        )


class AudioChunker(Node):
    def __init__(self, types: Types, params: dict[str, Any]) -> None:
        super().__init__(types, params)
        self.waiting: Any = None

    def process(self, buffer: Message) -> Iterator[Message]:
        frames = self.samples(buffer)
        size = int(self.params.get("chunk_size", 512))
        if self.waiting is not None:
            frames = np.concatenate([self.waiting, frames])
        whole = len(frames) // size * size
        self.waiting = frames[whole:]
        for start in range(0, whole, size):
            piece = frames[start : start + size]
            yield self.audio_buffer(piece, buffer.audio.sample_rate)


class FastResample(Node):
    def process(self, buffer: Message) -> Iterator[Message]:
        frames = self.samples(buffer)
        source, target = self.params["source_rate"], self.params["target_rate"]
        count = len(frames) * target // source
        count = count // FRAMES_OF_A_BLOCK * FRAMES_OF_A_BLOCK
        if count:
            picked = frames[np.arange(count) * source // target]
            yield self.audio_buffer(picked, target)


class TextCollector(Node):
    """Holds text back until a sentence ends."""

    def __init__(self, types: Types, params: dict[str, Any]) -> None:
        super().__init__(types, params)
        self.text = b""

    def process(self, buffer: Message) -> Iterator[Message]:
        self.text += buffer.text.text_data
        if self.text.endswith((b".", b"!", b"?")):
            text, self.text = self.text, b""
            yield self.types.DataBuffer(text=self.types.TextBuffer(text_data=text))


class VideoFlip(Node):
    def process(self, buffer: Message) -> Iterator[Message]:
        depth = PIXEL_BYTES.get(buffer.video.format)
        if buffer.WhichOneof("data_type") != "video" or depth is None:
            raise NodeFailed("requires a frame of pixels")
        shape = (buffer.video.height, buffer.video.width, depth)
        pixels = np.frombuffer(buffer.video.pixel_data, np.uint8).reshape(shape)
        axis = 1 if self.params.get("direction", "horizontal") == "horizontal" else 0
        flipped = self.types.DataBuffer()
        flipped.CopyFrom(buffer)
        flipped.video.pixel_data = np.flip(pixels, axis).tobytes()
        yield flipped


NODES: dict[str, Callable[[Types, dict[str, Any]], Node]] = {
    "PassThrough": Node,
    "CalculatorNode": Calculator,
    "AudioLevelNode": AudioLevel,
    "AudioChunkerNode": AudioChunker,
    "FastResampleNode": FastResample,
    "TextCollectorNode": TextCollector,
    "VideoFlip": VideoFlip,
}


class Pipeline:
    """The nodes of a manifest, connected.

    Raises:
        InvalidPipeline: a type or a connection is not known, or there is a cycle. Two
            nodes of one id are accepted, and so is any version.
    """

    def __init__(self, types: Types, manifest: Message) -> None:
        self.types = types
        self.nodes: dict[str, Node] = {}
        for node in manifest.nodes:
            if node.node_type not in NODES:
                known = ", ".join(sorted(NODES))
                raise InvalidPipeline(
                    f"No streaming node factory registered for type "
                    f"'{node.node_type}'. Available types: [{known}]"
                )
            params = json.loads(node.params or "{}")
            self.nodes[node.id] = NODES[node.node_type](types, params)
        self.after: dict[str, list[str]] = defaultdict(list)
        before: dict[str, set[str]] = {node_id: set() for node_id in self.nodes}
        for connection in manifest.connections:
            source, target = getattr(connection, "from"), connection.to
            if not {source, target} <= self.nodes.keys():
                raise InvalidPipeline(f"unknown node in {source!r} -> {target!r}")
            self.after[source].append(target)
            before[target].add(source)
        try:
            TopologicalSorter(before).prepare()
        except CycleError as error:
            raise InvalidPipeline(f"Graph contains a cycle: {error.args[1]}") from error
        self.sources = [node_id for node_id, those in before.items() if not those]

    def feed(self, node_id: str, buffer: Message) -> Iterator[tuple[str, Message]]:
        """Process a buffer from a node on; yield what the sinks make of it, by id."""
        for made in self.nodes[node_id].process(buffer):
            if not self.after[node_id]:
                yield node_id, self.seen_outside(made)
            for target in self.after[node_id]:
                yield from self.feed(target, made)

    def seen_outside(self, buffer: Message) -> Message:
        """Return a buffer without what the service's own representation loses."""
        sent = self.types.DataBuffer()
        sent.CopyFrom(buffer)
        sent.metadata.clear()
        kind = sent.WhichOneof("data_type")
        if kind == "binary":
            sent.binary.mime_type = ""
        elif kind == "video":
            sent.video.format = 0
        elif kind == "text":
            sent.text.channel = "tts"
        return sent


def seen_inside(types: Types, buffer: Message, *, is_unary: bool) -> Message:
    """Return a buffer as the service reads it: audio as F32.

    In a stream it is converted; in a unary call its bytes are taken for F32.
    """
    if buffer.WhichOneof("data_type") != "audio":
        return buffer
    audio = buffer.audio
    code = 1 if is_unary else audio.format
    raw = audio.samples[: len(audio.samples) // 4 * 4] if is_unary else audio.samples
    samples = np.frombuffer(raw, DTYPES[code]) / np.float32(SCALES[code])
    read = types.DataBuffer()
    read.CopyFrom(buffer)
    read.audio.samples = samples.astype("<f4").tobytes()
    read.audio.format = 1
    read.audio.num_samples = samples.size
    return read
