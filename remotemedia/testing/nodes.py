"""The reference nodes for data, which the contract names."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

from remotemedia.testing.node import (
    Node,
    NodeCall,
    NodeOutput,
    Parameter,
    WrongKindError,
    is_message,
)

Number: TypeAlias = "int | float"

_OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
}

# Above this a float no longer represents every integer exactly.
_LARGEST_WHOLE_FLOAT = 2**53


def is_number(value: object) -> bool:
    """Whether a JSON value is a number; to Python, True is an int too."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_OPERAND = Parameter("operand", "a number", is_number, alias="value")


class PassThrough(Node):
    """Passes its input on unchanged."""

    parameters: ClassVar[Sequence[Parameter] | None] = ()

    def process(self, call: NodeCall) -> NodeOutput:
        """Pass audio and data on."""
        return NodeOutput(call.audio, call.data)


class Echo(Node):
    """Wraps each JSON input in an object with a counter; all else is passed on."""

    parameters: ClassVar[Sequence[Parameter] | None] = ()

    def __init__(self, params: Mapping[str, Any]) -> None:
        super().__init__(params)
        self._counter = 0

    def process(self, call: NodeCall) -> NodeOutput:
        """Return ``{"input": …, "counter": n, "node": "Echo"}``; n starts at 1."""
        if call.data is None or is_message(call.data):
            return NodeOutput(call.audio, call.data)
        self._counter += 1
        wrapped = {"input": call.data, "counter": self._counter, "node": "Echo"}
        return NodeOutput(call.audio, wrapped)


class Calculator(Node):
    """Applies an operation to its input, on the left, and its operand, on the right."""

    parameters: ClassVar[Sequence[Parameter] | None] = (
        Parameter(
            "operation",
            f"one of {', '.join(_OPERATIONS)}",
            lambda value: isinstance(value, str) and value in _OPERATIONS,
        ),
        _OPERAND,
    )

    # The operation of a subclass that has no such parameter.
    operation: ClassVar[str | None] = None

    def process(self, call: NodeCall) -> Number:
        """Calculate; a result that is a whole number is an int."""
        if not is_number(call.data):
            found = call.audio if call.data is None else call.data
            raise (WrongKindError if is_message(found) else ValueError)(
                f"the input is {found!r}; it must be a number, from data_inputs "
                "or a connected node"
            )
        calculate = _OPERATIONS[self.operation or self.values["operation"]]
        result: Number = calculate(call.data, self.values["operand"])
        if isinstance(result, float) and result.is_integer():
            return int(result) if abs(result) <= _LARGEST_WHOLE_FLOAT else result
        return result


class Add(Calculator):
    """Adds its operand to its input."""

    parameters: ClassVar[Sequence[Parameter] | None] = (_OPERAND,)
    operation: ClassVar[str | None] = "add"


class Multiply(Calculator):
    """Multiplies its input by its operand."""

    parameters: ClassVar[Sequence[Parameter] | None] = (_OPERAND,)
    operation: ClassVar[str | None] = "multiply"


REFERENCE_NODES: Mapping[str, type[Node]] = {
    "PassThrough": PassThrough,
    "PassThroughNode": PassThrough,
    "Echo": Echo,
    "CalculatorNode": Calculator,
    "AddNode": Add,
    "MultiplyNode": Multiply,
}
