"""Sample messages of the contract at realistic sizes, built by any library.

Each function takes `v`, a module or namespace that has the contract's messages and
enums.
"""

# ruff: noqa: D103 - a function is called as the message that it makes
from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

Make = Callable[[Any], Any]

SESSION = "3f0c6a9e-7d1b-4c52-9a53-1f2f2a7f2c11"
CHUNK_BYTES = (320, 6_400, 640_000)


@cache
def samples(size: int) -> bytes:
    """Return cached bytes, since building them is not measured."""
    return b"\x12\x34" * (size // 2)


def buffer(v: Any, size: int) -> Any:
    """Return 16-bit mono audio of `size` bytes, at 16 kHz."""
    return v.AudioBuffer(
        samples=samples(size),
        sample_rate=16_000,
        channels=1,
        format=v.AudioFormat.I16,
        num_samples=size // 2,
    )


def audio_chunk(v: Any, size: int) -> Any:
    """Return one chunk of a session, as a client sends it."""
    return v.AudioChunk(
        node_id="microphone",
        buffer=buffer(v, size),
        sequence=1234,
        timestamp_ms=123_400,
    )


def node_metrics(v: Any) -> Any:
    return v.NodeMetrics(
        execution_time_ms=1.75,
        memory_bytes=1_048_576,
        samples_processed=1_600,
        custom_metrics='{"speech_frames": 7}',
    )


def execution_metrics(v: Any) -> Any:
    return v.ExecutionMetrics(
        wall_time_ms=12.5,
        cpu_time_ms=9.25,
        memory_used_bytes=10_485_760,
        node_metrics={name: node_metrics(v) for name in ("resample", "vad", "echo")},
        serialization_time_ms=0.125,
    )


def error_response(v: Any) -> Any:
    return v.ErrorResponse(
        error_type=v.ErrorType.NODE_EXECUTION,
        message="Node divide: division by zero",
        failing_node_id="divide",
        context='{"operation": "divide", "operand": 0}',
        stack_trace="at pipeline::run (executor.rs:120)\n" * 5,
    )


def version_info(v: Any) -> Any:
    return v.VersionInfo(
        protocol_version="v1",
        runtime_version="0.4.1",
        supported_node_types=["PassThrough", "Echo", "CalculatorNode", "AddNode"],
        supported_protocols=["v1"],
        build_timestamp="2025-10-28T12:00:00Z",
    )


def resource_limits(v: Any) -> Any:
    return v.ResourceLimits(
        max_memory_bytes=100_000_000,
        max_timeout_ms=5_000,
        max_audio_samples=10_000_000,
    )


def node_result(v: Any) -> Any:
    return v.NodeResult(
        node_id="divide",
        status=v.NodeStatus.FAILED,
        error=error_response(v),
        output_metadata='{"kept": true}',
    )


def gpu(v: Any) -> Any:
    return v.GpuRequirement(type="cuda", min_memory_gb=8.0, required=True)


def cpu(v: Any) -> Any:
    return v.CpuRequirement(cores=4, arch="x86_64")


def capabilities(v: Any) -> Any:
    return v.CapabilityRequirements(gpu=gpu(v), cpu=cpu(v), memory_gb=4.5)


def node_manifest(v: Any, name: str = "resample") -> Any:
    return v.NodeManifest(
        id=name,
        node_type="AudioResample",
        params='{"target_sample_rate": 16000}',
        is_streaming=True,
        capabilities=capabilities(v),
        host="worker-3",
        runtime_hint=v.RuntimeHint.AUTO,
    )


def manifest_metadata(v: Any) -> Any:
    return v.ManifestMetadata(
        name="speech",
        description="Resample, then tell speech from silence",
        created_at="2025-10-28T12:00:00Z",
    )


def connection(v: Any, source: str = "resample", target: str = "vad") -> Any:
    return v.Connection(from_=source, to=target)


def manifest(v: Any) -> Any:
    names = ("resample", "convert", "vad")
    return v.PipelineManifest(
        version="v1",
        metadata=manifest_metadata(v),
        nodes=[node_manifest(v, name) for name in names],
        connections=[connection(v, *names[:2]), connection(v, *names[1:])],
    )


def execute_request(v: Any) -> Any:
    return v.ExecuteRequest(
        manifest=manifest(v),
        audio_inputs={"resample": buffer(v, 6_400)},
        data_inputs={"convert": '{"gain": 2}'},
        resource_limits=resource_limits(v),
        client_version="v1",
    )


def execution_result(v: Any) -> Any:
    return v.ExecutionResult(
        audio_outputs={"vad": buffer(v, 6_400)},
        data_outputs={"vad": '{"has_speech": true, "energy_db": -21.5}'},
        metrics=execution_metrics(v),
        node_results=[
            v.NodeResult(node_id=name, status=v.NodeStatus.SUCCESS)
            for name in ("resample", "convert", "vad")
        ],
        status=v.ExecutionStatus.SUCCESS,
    )


def stream_init(v: Any) -> Any:
    return v.StreamInit(
        manifest=manifest(v),
        data_inputs={"convert": '{"gain": 2}'},
        resource_limits=resource_limits(v),
        client_version="v1",
        expected_chunk_size=1_600,
    )


def stream_control(v: Any) -> Any:
    return v.StreamControl(command=v.StreamControlCommand.COMMAND_CLOSE)


def chunk_result(v: Any) -> Any:
    return v.ChunkResult(
        sequence=1234,
        audio_outputs={"output": buffer(v, 6_400)},
        data_outputs={"vad": '{"has_speech": true, "energy_db": -21.5}'},
        processing_time_ms=1.25,
        total_samples_processed=3_949_800,
    )


def stream_ready(v: Any) -> Any:
    return v.StreamReady(
        session_id=SESSION, recommended_chunk_size=1_600, max_buffer_latency_ms=200
    )


def stream_metrics(v: Any) -> Any:
    return v.StreamMetrics(
        session_id=SESSION,
        chunks_processed=1_230,
        average_latency_ms=1.5,
        total_samples=3_936_000,
        buffer_samples=1_600,
        chunks_dropped=2,
        peak_memory_bytes=10_485_760,
    )


def stream_closed(v: Any) -> Any:
    return v.StreamClosed(
        session_id=SESSION, final_metrics=execution_metrics(v), reason="CLOSE"
    )


def stream_error(v: Any) -> Any:
    return v.StreamErrorResponse(
        base_error=error_response(v),
        stream_error_type=v.StreamErrorType.STREAM_ERROR_INVALID_SEQUENCE,
        failing_sequence=1234,
        session_id=SESSION,
    )


MESSAGES: dict[str, Make] = {
    "AudioBuffer": lambda v: buffer(v, 6_400),
    "ExecutionMetrics": execution_metrics,
    "NodeMetrics": node_metrics,
    "ErrorResponse": error_response,
    "VersionInfo": version_info,
    "ResourceLimits": resource_limits,
    "NodeResult": node_result,
    "PipelineManifest": manifest,
    "ManifestMetadata": manifest_metadata,
    "NodeManifest": node_manifest,
    "Connection": connection,
    "CapabilityRequirements": capabilities,
    "GpuRequirement": gpu,
    "CpuRequirement": cpu,
    "ExecuteRequest": execute_request,
    "ExecuteResponse": lambda v: v.ExecuteResponse(result=execution_result(v)),
    "ExecutionResult": execution_result,
    "VersionRequest": lambda v: v.VersionRequest(client_version="v1"),
    "VersionResponse": lambda v: v.VersionResponse(
        version_info=version_info(v), compatible=True, compatibility_message="same"
    ),
    "StreamRequest": lambda v: v.StreamRequest(audio_chunk=audio_chunk(v, 6_400)),
    "StreamInit": stream_init,
    "StreamControl": stream_control,
    "StreamResponse": lambda v: v.StreamResponse(result=chunk_result(v)),
    "StreamReady": stream_ready,
    "ChunkResult": chunk_result,
    "StreamMetrics": stream_metrics,
    "StreamClosed": stream_closed,
    "StreamErrorResponse": stream_error,
    **{
        f"AudioChunk of {size:,} bytes": partial(audio_chunk, size=size)
        for size in CHUNK_BYTES
    },
}
