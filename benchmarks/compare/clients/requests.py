"""Encoded requests, for the clients that build no messages."""

from __future__ import annotations

from functools import cache

from benchmarks.compare.clients import SAMPLE_BYTES, SAMPLE_RATE
from remotemedia.v1 import (
    AudioBuffer,
    AudioChunk,
    AudioFormat,
    ExecuteRequest,
    ManifestMetadata,
    NodeManifest,
    PipelineManifest,
    StreamControl,
    StreamControlCommand,
    StreamInit,
    StreamRequest,
    VersionRequest,
)

_MANIFEST = PipelineManifest(
    version="v1",
    metadata=ManifestMetadata(name="compare"),
    nodes=[NodeManifest(id="src", node_type="PassThrough")],
)
VERSION = bytes(VersionRequest(client_version="v1"))
INIT = bytes(StreamRequest(init=StreamInit(manifest=_MANIFEST, client_version="v1")))
CLOSE = bytes(
    StreamRequest(control=StreamControl(command=StreamControlCommand.COMMAND_CLOSE))
)


@cache
def execute(audio: bytes) -> bytes:
    """Return an encoded request to execute a pipeline."""
    return bytes(
        ExecuteRequest(
            manifest=_MANIFEST,
            audio_inputs={"src": _buffer(audio)},
            client_version="v1",
        )
    )


@cache
def chunk(audio: bytes) -> bytes:
    """Return an encoded chunk, always with the same number: the server ignores it."""
    return bytes(
        StreamRequest(
            audio_chunk=AudioChunk(
                node_id="src",
                buffer=_buffer(audio),
                sequence=1234,
                timestamp_ms=123_400,
            )
        )
    )


def _buffer(audio: bytes) -> AudioBuffer:
    return AudioBuffer(
        samples=audio,
        sample_rate=SAMPLE_RATE,
        channels=1,
        format=AudioFormat.F32,
        num_samples=len(audio) // SAMPLE_BYTES,
    )
