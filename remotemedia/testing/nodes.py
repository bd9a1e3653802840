"""The reference nodes for data, which the contract names."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from remotemedia.testing.node import Node, NodeCall, NodeOutput

Number: TypeAlias = "int | float"

_OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
}

# Above this a float no longer represents every integer exactly.
_LARGEST_WHOLE_FLOAT = 2**53


class PassThrough(Node):
    """Passes its input on unchanged."""

    def process(self, call: NodeCall) -> NodeOutput:
        """Pass audio and data on."""
        return NodeOutput(call.audio, call.data)


class Echo(Node):
    """Wraps each JSON input in an object with a counter; audio is passed on."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        super().__init__(params)
        self._counter = 0

    def process(self, call: NodeCall) -> NodeOutput:
        """Return ``{"input": …, "counter": n, "node": "Echo"}``; n starts at 1."""
        if call.data is None:
            return NodeOutput(call.audio)
        self._counter += 1
        wrapped = {"input": call.data, "counter": self._counter, "node": "Echo"}
        return NodeOutput(call.audio, wrapped)


class Calculator(Node):
    """Applies an operation to its input, on the left, and its operand, on the right.

    Params: ``operation``, one of ``add``, ``subtract``, ``multiply`` and
    ``divide``; ``operand``, a number, which older programs call ``value``.
    """

    def __init__(self, params: Mapping[str, Any]) -> None:
        super().__init__(params)
        operation = params.get("operation")
        if not isinstance(operation, str) or operation not in _OPERATIONS:
            raise ValueError(
                f"params.operation is {operation!r}; it must be one of "
                f"{', '.join(_OPERATIONS)}"
            )
        self._calculate = _OPERATIONS[operation]
        operand = params.get("operand", params.get("value"))
        if not is_number(operand):
            raise ValueError(f"params.operand is {operand!r}; it must be a number")
        self._operand: Number = operand

    def process(self, call: NodeCall) -> Number:
        """Calculate; a result that is a whole number is an int."""
        if not is_number(call.data):
            raise ValueError(
                f"the input is {call.data!r}; it must be a number, from data_inputs "
                "or a connected node"
            )
        result: Number = self._calculate(call.data, self._operand)
        if isinstance(result, float) and result.is_integer():
            return int(result) if abs(result) <= _LARGEST_WHOLE_FLOAT else result
        return result


class Add(Calculator):
    """Adds its operand to its input."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        super().__init__({**params, "operation": "add"})


class Multiply(Calculator):
    """Multiplies its input by its operand."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        super().__init__({**params, "operation": "multiply"})


def is_number(value: object) -> bool:
    """Whether a JSON value is a number; to Python, True is an int too."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


REFERENCE_NODES: Mapping[str, type[Node]] = {
    "PassThrough": PassThrough,
    "PassThroughNode": PassThrough,
    "Echo": Echo,
    "CalculatorNode": Calculator,
    "AddNode": Add,
    "MultiplyNode": Multiply,
}
