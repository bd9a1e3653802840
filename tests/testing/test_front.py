"""Both contracts: the choice, and that node types behave alike on both."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from remotemedia.contracts import ContractName
from remotemedia.testing import NodeCall, NodeOutput
from remotemedia.testing.audio_front import AudioFront
from remotemedia.testing.data_front import DataFront
from remotemedia.testing.service import front_of
from remotemedia.v1 import (
    AudioBuffer,
    ExecuteRequest,
    PipelineManifest,
    StreamControlCommand,
)
from tests.support.pipelines import tone
from tests.testing.conftest import Serve
from tests.testing.core_client import CoreClient, Message
from tests.testing.manifests import chain, graph, node

LOUD_DB = -8.96
ECHO = {"input": [1, None], "counter": 1, "node": "Echo"}


def test_a_contract_is_chosen_by_its_name() -> None:
    assert isinstance(front_of("audio"), AudioFront)
    assert isinstance(front_of("data"), DataFront)
    with pytest.raises(ValueError, match="contract is 'video'; it must be 'audio' or"):
        front_of("video")  # type: ignore[arg-type]  # on purpose


def test_the_data_contract_is_not_imported_without_need() -> None:
    code = (
        "import sys, remotemedia.testing;"
        "remotemedia.testing.LocalService();"
        "print([name for name in sys.modules if 'data_' in name or '.media' in name"
        " if name.startswith('remotemedia')])"
    )
    output = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert output == "[]\n"


@pytest.mark.parametrize(
    ("contract", "runtime_version"), [("audio", "0.2.0"), ("data", "0.4.0")]
)
async def test_clients_know_the_contract_by_the_version_of_the_runtime(
    serve: Serve, contract: ContractName, runtime_version: str
) -> None:
    async with serve() as client:
        info = (await client.version()).version_info
    assert info.runtime_version == runtime_version


def outputs(result: Message) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Audio as bytes, and data as values."""
    audio = {
        name: buffer.SerializeToString()
        for name, buffer in result.audio_outputs.items()
    }
    return audio, {name: json.loads(text) for name, text in result.data_outputs.items()}


@pytest.mark.parametrize(
    ("manifest", "audio", "data", "heard", "told"),
    [
        (chain(node("a", "PassThrough")), {"a": tone()}, {}, {"a": tone()}, {}),
        (chain(node("a", "PassThroughNode")), {}, {"a": '"x"'}, {}, {"a": "x"}),
        (chain(node("a", "Echo")), {}, {"a": "[1, null]"}, {}, {"a": ECHO}),
        (
            chain(node("a", "AddNode", operand=1), node("b", "MultiplyNode", value=2)),
            {},
            {"a": "20"},
            {},
            {"b": 42},
        ),
        (
            chain(node("a", "CalculatorNode", operation="divide", operand=4)),
            {},
            {"a": "1"},
            {},
            {"a": 0.25},
        ),
        (
            graph(node("a", "VAD"), node("b", "Echo"), connections=[]),
            {"a": tone()},
            {"b": "[1, null]"},
            {"a": tone()},
            {"a": {"has_speech": True, "energy_db": LOUD_DB}, "b": ECHO},
        ),
    ],
)
async def test_executions_give_the_same_outputs(
    both: CoreClient,
    manifest: PipelineManifest,
    audio: dict[str, AudioBuffer],
    data: dict[str, str],
    heard: Mapping[str, AudioBuffer],
    told: Mapping[str, object],
) -> None:
    result = await both.execute(
        ExecuteRequest(manifest=manifest, audio_inputs=audio, data_inputs=data)
    )
    expected = {name: bytes(buffer) for name, buffer in heard.items()}
    assert outputs(result) == (expected, told)


async def test_sessions_give_the_same_outputs(both: CoreClient) -> None:
    manifest = chain(
        node("ear", "VAD", threshold_db=-20),
        node("rate", "AudioResample", target_sample_rate=8_000),
        node("out", "AudioFormatConverter", format="I16"),
    )
    stream = both.open()
    await stream.init(manifest)
    await stream.read("ready")
    frames = 0
    for sequence in range(3):
        await stream.chunk("ear", tone(), sequence)
        result = await stream.read("result")
        assert set(result.audio_outputs) <= {"out"}
        assert json.loads(result.data_outputs["ear"])["energy_db"] == LOUD_DB
        frames += sum(found.num_samples for found in result.audio_outputs.values())
    await stream.control(StreamControlCommand.COMMAND_CLOSE)
    rest = await stream.read("result")
    assert frames + rest.audio_outputs["out"].num_samples == 2_400
    assert (await stream.read("closed")).reason == "closed by the client"


async def test_a_node_of_a_user_gives_the_same(serve: Serve) -> None:
    def halve(call: NodeCall) -> NodeOutput:
        assert call.audio is not None
        return NodeOutput(next(call.audio.chunks(800)), "text")

    async with serve(nodes={"Halve": halve}) as client:
        result = await client.execute(
            ExecuteRequest(
                manifest=chain(node("n", "Halve")), audio_inputs={"n": tone()}
            )
        )
    assert result.audio_outputs["n"].num_samples == 800
    assert json.loads(result.data_outputs["n"]) == "text"
