"""The unary calls, by a client that shares no line with the library."""

from __future__ import annotations

from datetime import datetime

import pytest

from remotemedia.testing import NodeCall
from remotemedia.v1 import (
    ExecuteRequest,
    ExecutionStatus,
    NodeStatus,
    ResourceLimits,
)
from tests.support.pipelines import tone
from tests.testing.conftest import Serve
from tests.testing.core_client import CoreClient
from tests.testing.manifests import chain, node

DIVIDE = chain(node("calc", "CalculatorNode", operation="divide", operand=0))


async def test_the_version(serve: Serve) -> None:
    async with serve(nodes={"Own": lambda call: None}) as client:
        answer = await client.version()
    info = answer.version_info
    assert answer.compatible
    assert info.protocol_version == "v1"
    assert list(info.supported_protocols) == ["v1"]
    assert info.runtime_version
    assert datetime.fromisoformat(info.build_timestamp).tzinfo is not None
    types = list(info.supported_node_types)
    assert types == sorted(types)
    assert {"Own", "Echo", "CalculatorNode", "AudioResample", "VAD"} <= set(types)


@pytest.mark.parametrize(
    ("client_version", "compatible"), [("v1", True), ("", True), ("v2", False)]
)
async def test_a_client_of_another_version_is_told(
    both: CoreClient, client_version: str, compatible: bool
) -> None:
    answer = await both.version(client_version)
    assert answer.compatible is compatible
    assert "v1" in answer.compatibility_message
    assert client_version in answer.compatibility_message


async def test_a_pipeline_with_audio_and_data(both: CoreClient) -> None:
    manifest = chain(
        node("src", "PassThrough"),
        node("rate", "AudioResample", target_sample_rate=8_000),
        node("vad", "VAD"),
    )
    audio = tone(1_600)
    result = await both.execute(
        ExecuteRequest(manifest=manifest, audio_inputs={"src": audio})
    )
    assert list(result.audio_outputs) == ["vad"]
    assert result.audio_outputs["vad"].num_samples == 800
    assert list(result.data_outputs) == ["vad"]
    assert result.status == ExecutionStatus.SUCCESS
    assert [found.node_id for found in result.node_results] == ["src", "rate", "vad"]
    assert {found.status for found in result.node_results} == {NodeStatus.SUCCESS}
    assert set(result.metrics.node_metrics) == {"src", "rate", "vad"}
    assert result.metrics.node_metrics["vad"].samples_processed == 800
    assert result.metrics.wall_time_ms > 0
    assert result.metrics.serialization_time_ms > 0


async def test_failures_are_statuses(both: CoreClient) -> None:
    bad = tone()
    bad.channels = 7
    passes = chain(node("src", "PassThrough"))
    requests = {
        "INVALID_ARGUMENT node 'n' has the unknown node type 'Nope'": ExecuteRequest(
            manifest=chain(node("n", "Nope"))
        ),
        "INVALID_ARGUMENT manifest.version is ''": ExecuteRequest(),
        "INVALID_ARGUMENT the audio for node 'src' is not valid": ExecuteRequest(
            manifest=passes, audio_inputs={"src": bad}
        ),
        "INTERNAL Node calc: division by zero": ExecuteRequest(
            manifest=DIVIDE, data_inputs={"calc": "1"}
        ),
        "RESOURCE_EXHAUSTED an audio buffer of 1600 samples": ExecuteRequest(
            manifest=passes,
            audio_inputs={"src": tone(1_600)},
            resource_limits=ResourceLimits(max_audio_samples=1_599),
        ),
        "FAILED_PRECONDITION the client speaks 'v0'": ExecuteRequest(
            manifest=passes, client_version="v0"
        ),
    }
    for expected, request in requests.items():
        code, details = await both.failure(request)
        assert f"{code} {details}".startswith(expected)


async def test_a_node_s_limits_are_the_service_s(
    serve: Serve,
) -> None:
    seen: list[ResourceLimits] = []

    async def note(call: NodeCall) -> None:
        seen.append(call.limits)

    own = ResourceLimits(max_timeout_ms=7_000)
    async with serve(nodes={"Note": note}, limits=own) as client:
        await client.execute(ExecuteRequest(manifest=chain(node("n", "Note"))))
    assert seen == [
        ResourceLimits(
            max_memory_bytes=100_000_000,
            max_timeout_ms=7_000,
            max_audio_samples=10_000_000,
        )
    ]


async def test_an_exception_of_a_node_becomes_a_status(
    serve: Serve,
) -> None:
    def fail(call: NodeCall) -> None:
        raise OSError("disk full")

    async with serve(nodes={"Fail": fail}) as client:
        found = await client.failure(ExecuteRequest(manifest=chain(node("n", "Fail"))))
    assert found == ("INTERNAL", "Node n: disk full")
