"""The reference nodes for data, each by itself."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remotemedia.testing import Node, NodeCall, NodeOutput
from remotemedia.testing.nodes import REFERENCE_NODES
from remotemedia.v1 import AudioBuffer, ResourceLimits
from tests.support.pipelines import tone


def make(node_type: str, **params: Any) -> Node:
    return REFERENCE_NODES[node_type](params)


def run(node: Node, data: object = None, audio: AudioBuffer | None = None) -> object:
    return node.process(NodeCall("n", {}, audio, data, {}, ResourceLimits(), None))


def calculate(operation: str, left: object, right: object) -> object:
    return run(make("CalculatorNode", operation=operation, operand=right), left)


def test_the_node_types_that_the_contract_names_exist() -> None:
    assert set(REFERENCE_NODES) == {
        "PassThrough",
        "PassThroughNode",
        "Echo",
        "CalculatorNode",
        "AddNode",
        "MultiplyNode",
    }


@pytest.mark.parametrize("node_type", ["PassThrough", "PassThroughNode"])
def test_pass_through_returns_its_input(node_type: str) -> None:
    audio = tone()
    assert run(make(node_type), {"a": 1}, audio) == NodeOutput(audio, {"a": 1})


def test_echo_wraps_and_counts_data() -> None:
    echo = make("Echo")
    assert run(echo, "x") == NodeOutput(
        data={"input": "x", "counter": 1, "node": "Echo"}
    )
    assert run(echo, [2]) == NodeOutput(
        data={"input": [2], "counter": 2, "node": "Echo"}
    )


def test_echo_passes_audio_on() -> None:
    audio = tone()
    assert run(make("Echo"), None, audio) == NodeOutput(audio)


@pytest.mark.parametrize(
    ("operation", "left", "right", "result"),
    [
        ("add", 10, 5, 15),
        ("subtract", 10, 5, 5),
        ("multiply", 10, 5, 50),
        ("divide", 10, 5, 2),
        ("divide", 10, 4, 2.5),
        ("add", 0.5, 0.5, 1),
        ("multiply", 1e300, 2, 2e300),
    ],
)
def test_calculator(operation: str, left: object, right: object, result: float) -> None:
    found = calculate(operation, left, right)
    assert found == result
    assert type(found) is type(result)


@given(st.integers(), st.integers())
def test_integers_are_exact(left: int, right: int) -> None:
    assert calculate("multiply", left, right) == left * right


@given(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9))
def test_whole_results_are_integers_and_others_floats(
    left: float, right: float
) -> None:
    found = calculate("add", left, right)
    assert found == left + right
    assert isinstance(found, int) == (left + right).is_integer()


@pytest.mark.parametrize(
    ("result", "kind"), [(2.0**53, int), (-(2.0**53), int), (2.0**53 + 2, float)]
)
def test_whole_results_are_integers_as_far_as_floats_are_exact(
    result: float, kind: type
) -> None:
    found = calculate("add", result, 0.0)
    assert found == result
    assert type(found) is kind


@pytest.mark.parametrize(
    ("node_type", "params"),
    [
        ("Echo", {}),
        ("PassThrough", {}),
        ("CalculatorNode", {"operation": "add", "operand": 1}),
        ("AddNode", {"value": 1}),
    ],
)
def test_a_node_keeps_its_params(node_type: str, params: dict[str, Any]) -> None:
    assert make(node_type, **params).params == params


def test_dividing_by_zero_fails() -> None:
    with pytest.raises(ZeroDivisionError):
        calculate("divide", 1, 0)


def test_the_older_spelling_of_the_operand() -> None:
    assert run(make("CalculatorNode", operation="subtract", value=4), 6) == 2


@pytest.mark.parametrize(
    ("node_type", "result"), [("AddNode", 9), ("MultiplyNode", 18)]
)
@pytest.mark.parametrize("spelling", ["operand", "value"])
def test_add_and_multiply(node_type: str, result: int, spelling: str) -> None:
    assert run(make(node_type, **{spelling: 3}), 6) == result


@pytest.mark.parametrize(
    ("params", "named"),
    [
        ({"operand": 1}, "operation"),
        ({"operation": "power", "operand": 1}, "power"),
        ({"operation": ["add"], "operand": 1}, "operation"),
        ({"operation": "add"}, "operand"),
        ({"operation": "add", "operand": "5"}, "operand"),
        ({"operation": "add", "operand": True}, "operand"),
    ],
)
def test_wrong_params_are_named(params: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        make("CalculatorNode", **params)


@pytest.mark.parametrize("data", [None, "5", True, [1], {"value": 1}])
def test_only_numbers_are_calculated_with(data: object) -> None:
    with pytest.raises(ValueError, match="must be a number"):
        calculate("add", data, 1)
