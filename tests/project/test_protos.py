"""The protos say what the service says: the contract of v1, as a table.

The table is written from the service's documentation, not from our protos.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from conformance import oracle

if TYPE_CHECKING:
    from google.protobuf.descriptor_pb2 import (
        DescriptorProto,
        EnumDescriptorProto,
        FieldDescriptorProto,
        FileDescriptorProto,
        ServiceDescriptorProto,
    )

COMMON = """
enum AudioFormat
  AUDIO_FORMAT_UNSPECIFIED = 0
  AUDIO_FORMAT_F32 = 1
  AUDIO_FORMAT_I16 = 2
  AUDIO_FORMAT_I32 = 3
enum ErrorType
  ERROR_TYPE_UNSPECIFIED = 0
  ERROR_TYPE_VALIDATION = 1
  ERROR_TYPE_NODE_EXECUTION = 2
  ERROR_TYPE_RESOURCE_LIMIT = 3
  ERROR_TYPE_AUTHENTICATION = 4
  ERROR_TYPE_VERSION_MISMATCH = 5
  ERROR_TYPE_INTERNAL = 6
enum ExecutionStatus
  EXECUTION_STATUS_UNSPECIFIED = 0
  EXECUTION_STATUS_SUCCESS = 1
  EXECUTION_STATUS_PARTIAL_SUCCESS = 2
  EXECUTION_STATUS_FAILED = 3
enum NodeStatus
  NODE_STATUS_UNSPECIFIED = 0
  NODE_STATUS_SUCCESS = 1
  NODE_STATUS_SKIPPED = 2
  NODE_STATUS_FAILED = 3
message AudioBuffer
  1 samples bytes
  2 sample_rate uint32
  3 channels uint32
  4 format AudioFormat
  5 num_samples uint64
message ExecutionMetrics
  1 wall_time_ms double
  2 cpu_time_ms double
  3 memory_used_bytes uint64
  4 node_metrics map<string, NodeMetrics>
  5 serialization_time_ms double
message NodeMetrics
  1 execution_time_ms double
  2 memory_bytes uint64
  3 samples_processed uint64
  4 custom_metrics string
message ErrorResponse
  1 error_type ErrorType
  2 message string
  3 failing_node_id string
  4 context string
  5 stack_trace string
message VersionInfo
  1 protocol_version string
  2 runtime_version string
  3 supported_node_types repeated string
  4 supported_protocols repeated string
  5 build_timestamp string
message ResourceLimits
  1 max_memory_bytes uint64
  2 max_timeout_ms uint64
  3 max_audio_samples uint64
message NodeResult
  1 node_id string
  2 status NodeStatus
  3 error ErrorResponse
  4 output_metadata string
"""

EXECUTION = """
enum RuntimeHint
  RUNTIME_HINT_UNSPECIFIED = 0
  RUNTIME_HINT_RUSTPYTHON = 1
  RUNTIME_HINT_CPYTHON = 2
  RUNTIME_HINT_CPYTHON_WASM = 3
  RUNTIME_HINT_AUTO = 4
message PipelineManifest
  1 version string
  2 metadata ManifestMetadata
  3 nodes repeated NodeManifest
  4 connections repeated Connection
message ManifestMetadata
  1 name string
  2 description string
  3 created_at string
message NodeManifest
  1 id string
  2 node_type string
  3 params string
  4 is_streaming bool
  5 capabilities CapabilityRequirements
  6 host string
  7 runtime_hint RuntimeHint
message Connection
  1 from string
  2 to string
message CapabilityRequirements
  1 gpu GpuRequirement
  2 cpu CpuRequirement
  3 memory_gb double
message GpuRequirement
  1 type string
  2 min_memory_gb double
  3 required bool
message CpuRequirement
  1 cores uint32
  2 arch string
message ExecuteRequest
  1 manifest PipelineManifest
  2 audio_inputs map<string, AudioBuffer>
  3 data_inputs map<string, string>
  4 resource_limits ResourceLimits
  5 client_version string
message ExecuteResponse
  oneof outcome
  1 result ExecutionResult in outcome
  2 error ErrorResponse in outcome
message ExecutionResult
  1 audio_outputs map<string, AudioBuffer>
  2 data_outputs map<string, string>
  3 metrics ExecutionMetrics
  4 node_results repeated NodeResult
  5 status ExecutionStatus
message VersionRequest
  1 client_version string
message VersionResponse
  1 version_info VersionInfo
  2 compatible bool
  3 compatibility_message string
service PipelineExecutionService
  ExecutePipeline(ExecuteRequest) -> ExecuteResponse
  GetVersion(VersionRequest) -> VersionResponse
"""

STREAMING = """
enum StreamErrorType
  STREAM_ERROR_UNSPECIFIED = 0
  STREAM_ERROR_INIT_REQUIRED = 1
  STREAM_ERROR_INVALID_SEQUENCE = 2
  STREAM_ERROR_BUFFER_OVERFLOW = 3
  STREAM_ERROR_TIMEOUT = 4
  STREAM_ERROR_CLIENT_DISCONNECT = 5
  STREAM_ERROR_EXECUTION = 6
message StreamRequest
  oneof request
  1 init StreamInit in request
  2 audio_chunk AudioChunk in request
  3 control StreamControl in request
message StreamInit
  1 manifest PipelineManifest
  2 data_inputs map<string, string>
  3 resource_limits ResourceLimits
  4 client_version string
  5 expected_chunk_size uint64
message AudioChunk
  1 node_id string
  2 buffer AudioBuffer
  3 sequence uint64
  4 timestamp_ms uint64
enum StreamControl.Command
  COMMAND_UNSPECIFIED = 0
  COMMAND_CLOSE = 1
  COMMAND_CANCEL = 2
message StreamControl
  1 command StreamControl.Command
message StreamResponse
  oneof response
  1 ready StreamReady in response
  2 result ChunkResult in response
  3 error ErrorResponse in response
  4 metrics StreamMetrics in response
  5 closed StreamClosed in response
message StreamReady
  1 session_id string
  2 recommended_chunk_size uint64
  3 max_buffer_latency_ms uint64
message ChunkResult
  1 sequence uint64
  2 audio_outputs map<string, AudioBuffer>
  3 data_outputs map<string, string>
  4 processing_time_ms double
  5 total_samples_processed uint64
message StreamMetrics
  1 session_id string
  2 chunks_processed uint64
  3 average_latency_ms double
  4 total_samples uint64
  5 buffer_samples uint64
  6 chunks_dropped uint64
  7 peak_memory_bytes uint64
message StreamClosed
  1 session_id string
  2 final_metrics ExecutionMetrics
  3 reason string
message StreamErrorResponse
  1 base_error ErrorResponse
  2 stream_error_type StreamErrorType
  3 failing_sequence uint64
  4 session_id string
service StreamingPipelineService
  StreamPipeline(stream StreamRequest) -> stream StreamResponse
"""

PACKAGE = "remotemedia.v1"


def short(type_name: str) -> str:
    """`.remotemedia.v1.StreamControl.Command` as `StreamControl.Command`."""
    return type_name.removeprefix(f".{PACKAGE}.")


def field_type(field: FieldDescriptorProto) -> str:
    if field.type_name:
        return short(field.type_name)
    return field.Type.Name(field.type).removeprefix("TYPE_").lower()


def field_lines(message: DescriptorProto, path: str) -> Iterator[str]:
    entries = {
        f"{path}.{nested.name}": nested
        for nested in message.nested_type
        if nested.options.map_entry
    }
    for field in message.field:
        kind = field_type(field)
        if kind in entries:
            key, value = entries[kind].field
            kind = f"map<{field_type(key)}, {field_type(value)}>"
        elif field.label == field.LABEL_REPEATED:
            kind = f"repeated {kind}"
        if field.proto3_optional:
            kind = f"optional {kind}"
        if field.HasField("oneof_index"):
            kind += f" in {message.oneof_decl[field.oneof_index].name}"
        options = f" [{field.options}]" if field.HasField("options") else ""
        yield f"  {field.number} {field.name} {kind}{options}"


def message_lines(message: DescriptorProto, path: str) -> Iterator[str]:
    for enum in message.enum_type:
        yield from enum_lines(enum, f"{path}.{enum.name}")
    for nested in message.nested_type:
        if not nested.options.map_entry:
            yield from message_lines(nested, f"{path}.{nested.name}")
    yield f"message {path}"
    for oneof in message.oneof_decl:
        yield f"  oneof {oneof.name}"
    yield from field_lines(message, path)


def enum_lines(enum: EnumDescriptorProto, path: str) -> Iterator[str]:
    yield f"enum {path}"
    for value in enum.value:
        yield f"  {value.name} = {value.number}"


def service_lines(service: ServiceDescriptorProto) -> Iterator[str]:
    yield f"service {service.name}"
    for method in service.method:
        request = "stream " * method.client_streaming + short(method.input_type)
        response = "stream " * method.server_streaming + short(method.output_type)
        yield f"  {method.name}({request}) -> {response}"


def lines_of(file: FileDescriptorProto) -> Iterator[str]:
    for enum in file.enum_type:
        yield from enum_lines(enum, enum.name)
    for message in file.message_type:
        yield from message_lines(message, message.name)
    for service in file.service:
        yield from service_lines(service)


@pytest.fixture(scope="module")
def files() -> dict[str, FileDescriptorProto]:
    return {file.name: file for file in oracle.load().files.file}


@pytest.mark.parametrize(
    ("name", "contract"),
    [
        ("common.proto", COMMON),
        ("execution.proto", EXECUTION),
        ("streaming.proto", STREAMING),
    ],
)
def test_a_file_says_what_the_contract_says(
    files: dict[str, FileDescriptorProto], name: str, contract: str
) -> None:
    assert list(lines_of(files[name])) == contract.strip("\n").split("\n")


def test_the_contract_is_three_flat_proto3_files_of_one_package(
    files: dict[str, FileDescriptorProto],
) -> None:
    assert {
        name: (file.package, file.syntax, sorted(file.dependency))
        for name, file in files.items()
    } == {
        "common.proto": (PACKAGE, "proto3", []),
        "execution.proto": (PACKAGE, "proto3", ["common.proto"]),
        "streaming.proto": (PACKAGE, "proto3", ["common.proto", "execution.proto"]),
    }
