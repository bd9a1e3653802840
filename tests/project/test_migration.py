"""What docs/how-to/migration.md says of this library is so."""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import remotemedia
from remotemedia import (
    AudioBuffer,
    AudioFormat,
    ChunkResult,
    ErrorType,
    ExecutionMetrics,
    ExecutionResult,
    RemoteMediaClient,
    RemoteMediaConnectionError,
    RemoteMediaError,
    RuntimeHint,
    VersionInfo,
)
from remotemedia.testing import LocalService
from tests.support.pipelines import tone

DOCS = Path(__file__).resolve().parents[2] / "docs"
GUIDE = (DOCS / "how-to/migration.md").read_text()

# As programs for the earlier client write it: neither a version nor a name.
MANIFEST = {
    "nodes": [
        {
            "id": "calc",
            "node_type": "AddNode",
            "params": '{"operand": 1}',
            "runtime_hint": RuntimeHint.AUTO,
        }
    ]
}


@pytest.mark.parametrize(
    "call",
    [
        lambda: RemoteMediaClient("localhost:1", True),  # type: ignore[call-overload]  # wrong
        lambda: RemoteMediaClient(credentials=None),  # type: ignore[call-overload]  # wrong
        lambda: RemoteMediaClient(options=[]),  # type: ignore[call-overload]  # wrong
        lambda: AudioBuffer(b"", 1, 1, AudioFormat.F32, 0),  # type: ignore[call-arg]  # wrong
        lambda: RemoteMediaError("no", ErrorType.INTERNAL),  # type: ignore[call-arg]  # wrong
    ],
)
def test_what_is_gone_is_a_type_error(call: Any) -> None:
    with pytest.raises(TypeError):
        call()


def test_the_arguments_of_calls_have_their_places() -> None:
    def places(method: Any) -> list[str]:
        parameters = inspect.signature(method).parameters.values()
        by_place = inspect.Parameter.POSITIONAL_OR_KEYWORD
        return [each.name for each in parameters if each.kind is by_place][1:]

    assert places(RemoteMediaClient.get_version) == []
    once = ["manifest", "audio_inputs", "data_inputs"]
    assert places(RemoteMediaClient.execute_pipeline) == once
    live = ["manifest", "audio_chunks", "data_inputs"]
    assert places(RemoteMediaClient.stream_pipeline) == live


@pytest.mark.parametrize(
    ("row", "cls"),
    [
        ("`metrics` | the same |", ExecutionMetrics),
        ("`ChunkResult` | the same |", ChunkResult),
        ("`VersionInfo` | the same |", VersionInfo),
    ],
)
def test_the_fields_that_are_the_same_exist(row: str, cls: type[Any]) -> None:
    (line,) = [line for line in GUIDE.splitlines() if line.endswith(row)]
    named = re.findall(r"`(\w+)`", line.partition(" of ")[0])
    assert set(named) == set(cls.__dataclass_fields__)


def test_the_fields_of_a_result_exist() -> None:
    names = {"audio_outputs", "data_outputs", "metrics", "status", "node_results"}
    assert names == set(ExecutionResult.__dataclass_fields__)


def test_enums_have_the_same_numbers_and_unspecified() -> None:
    assert [*AudioFormat] == [0, 1, 2, 3]
    assert RuntimeHint.AUTO.value == 4
    for enum in (AudioFormat, ErrorType, RuntimeHint):
        assert next(iter(enum)).name == "UNSPECIFIED"


def test_what_an_error_does_not_have_is_empty() -> None:
    error = RemoteMediaError("no")
    assert (error.failing_node_id, error.context, error.stack_trace) == ("", "", "")
    assert error.error_type is ErrorType.INTERNAL


async def test_a_program_for_the_earlier_client_runs(local: LocalService) -> None:
    async def chunks() -> AsyncIterator[tuple[str, AudioBuffer, int]]:
        for sequence in range(2):
            yield "in", tone(), sequence

    client = RemoteMediaClient(local.address)
    await client.connect()
    result = await client.execute_pipeline(manifest=MANIFEST, data_inputs={"calc": "2"})
    assert result.data_outputs.get("calc", "N/A") == "3"
    stream = client.stream_pipeline(
        manifest={"nodes": [{"id": "in", "node_type": "PassThrough"}]},
        audio_chunks=chunks(),
        expected_chunk_size=1600,
    )
    assert [chunk.sequence async for chunk in stream] == [0, 1]
    await client.disconnect()


@pytest.mark.parametrize("wrong", [{"unknown": 1}, {"runtime_hint": "none"}])
async def test_what_was_ignored_in_a_manifest_is_refused(
    local: LocalService, wrong: dict[str, object]
) -> None:
    manifest = {"nodes": [{"id": "n", "node_type": "Echo", **wrong}]}
    async with RemoteMediaClient(local.address) as client:
        with pytest.raises(RemoteMediaError) as caught:
            await client.execute_pipeline(manifest)
    assert caught.value.error_type is ErrorType.VALIDATION


async def test_a_client_without_a_connection_says_so() -> None:
    client = RemoteMediaClient("localhost:1")
    with pytest.raises(RemoteMediaConnectionError, match="not connected") as caught:
        await client.get_version()
    assert caught.value.error_type is ErrorType.INTERNAL


async def test_connections_are_logged(
    local: LocalService, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "remotemedia")
    async with RemoteMediaClient(local.address) as client:
        await client.get_version()
    levels = {record.name: record.levelname for record in caplog.records}
    assert levels["remotemedia.connections"] == "INFO"
    assert levels["remotemedia.calls"] == "DEBUG"


def test_the_names_of_the_import_exist() -> None:
    (imported,) = re.findall(r"^from remotemedia import \((.*?)\)", GUIDE, re.M | re.S)
    assert set(re.findall(r"\w+", imported)) <= set(remotemedia.__all__)
