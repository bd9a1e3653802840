"""The tables of docs/reference/nodes.md say what the code says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from remotemedia.testing import Node, NodeCall, NodeOutput
from remotemedia.testing.audio_nodes import AUDIO_NODES
from remotemedia.testing.nodes import REFERENCE_NODES
from remotemedia.v1 import AudioBuffer, ResourceLimits
from tests.support.pipelines import tone

DOCS = Path(__file__).resolve().parents[2] / "docs"
DOCUMENT = (DOCS / "reference/nodes.md").read_text()
NODES = {**REFERENCE_NODES, **AUDIO_NODES}

# The parameters with which each node type is run.
PARAMS: dict[str, dict[str, Any]] = {
    "CalculatorNode": {"operation": "add", "operand": 1},
    "AddNode": {"operand": 1},
    "MultiplyNode": {"operand": 2},
    "AudioResample": {"target_sample_rate": 8_000},
    "AudioFormatConverter": {"format": "I16"},
}


def rows(header: str) -> list[list[str]]:
    """The cells of every table with this header, row by row."""
    tables = re.findall(
        rf"^\| {re.escape(header)} \|\n\|[-| ]+\|\n((?:\|.*\n)+)", DOCUMENT, re.M
    )
    assert tables
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for table in tables
        for line in table.splitlines()
    ]


def test_the_table_of_parameters_says_what_the_nodes_declare() -> None:
    declared = []
    for name, node_type in NODES.items():
        assert node_type.parameters is not None
        for parameter in node_type.parameters:
            default = "" if parameter.default is None else str(parameter.default)
            alias = f", or `{parameter.alias}`" if parameter.alias else ""
            declared.append(
                [
                    f"`{name}`",
                    f"`{parameter.name}`{alias}",
                    parameter.type,
                    parameter.unit,
                    default,
                ]
            )
    assert rows("node type | parameter | type | unit | default") == declared


OUTPUTS = rows("node type | audio output | data output")


def test_every_node_type_is_in_the_table_of_outputs() -> None:
    assert [row[0].strip("`") for row in OUTPUTS] == list(NODES)


@pytest.mark.parametrize(("name", "audio", "data"), OUTPUTS)
def test_the_table_of_outputs_says_what_the_nodes_give(
    name: str, audio: str, data: str
) -> None:
    name = name.strip("`")
    node: Node = NODES[name](PARAMS.get(name, {}))
    call = NodeCall(
        "n", {}, tone(), 5, {}, ResourceLimits(max_audio_samples=9999), None
    )
    given = node.process_last(call)
    if isinstance(given, AudioBuffer):
        given = NodeOutput(given)
    elif not isinstance(given, NodeOutput):
        given = NodeOutput(data=given)  # type: ignore[arg-type]  # JSON
    assert (given.audio is None) == (audio == "none")
    assert (given.audio is call.audio) == (audio == "the input")
    assert (given.data is None) == (data == "none")
    assert (given.data == call.data) == (data == "the input")
    assert isinstance(given.data, int) == data.startswith(("a number", "the input"))
    if isinstance(given.data, dict):
        assert re.findall(r"`(\w+)`", data) == list(given.data)
    else:
        assert not data.startswith("an object")
