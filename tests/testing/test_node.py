"""What counts as a node, and how it is called."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import FrozenInstanceError
from functools import partial
from typing import Any

import pytest

from remotemedia.testing import Node, NodeCall, NodeOutput
from remotemedia.testing.node import NodeReturn, NodeType, make_node
from remotemedia.v1 import ResourceLimits


def call(data: object = None) -> NodeCall:
    return NodeCall("n", {}, None, data, {}, ResourceLimits(), None)


async def answer(node_type: NodeType, data: object) -> NodeReturn:
    result = make_node(node_type, {}).process(call(data))
    assert asyncio.iscoroutine(result)
    answered: NodeReturn = await result
    return answered


def double(call: NodeCall) -> int:
    return 2 * int(call.data)


async def double_later(call: NodeCall) -> int:
    await asyncio.sleep(0)
    return double(call)


def times(factor: int, call: NodeCall) -> int:
    return factor * int(call.data)


class Doubler:
    """A callable object, which is no Node."""

    async def __call__(self, call: NodeCall) -> int:
        return double(call)


@pytest.mark.parametrize(
    "node_type",
    [
        double,
        double_later,
        partial(times, 2),
        Doubler(),
        lambda call: double_later(call),
    ],
    ids=["plain", "async", "partial", "object", "lambda of async"],
)
async def test_every_kind_of_function_is_a_node(node_type: NodeType) -> None:
    assert await answer(node_type, 21) == 42


async def test_a_plain_function_runs_in_a_thread() -> None:
    threads = []

    def note(call: NodeCall) -> None:
        threads.append(threading.current_thread())

    await answer(note, None)
    assert threads[0] is not threading.current_thread()


async def test_an_async_function_runs_on_the_loop() -> None:
    loops = []

    async def note(call: NodeCall) -> None:
        loops.append(asyncio.get_running_loop())

    await answer(note, None)
    assert loops == [asyncio.get_running_loop()]


def test_a_function_s_node_has_the_params_too() -> None:
    assert make_node(double, {"factor": 2}).params == {"factor": 2}


@pytest.mark.parametrize("value", [NodeOutput(), call()])
def test_input_and_output_cannot_be_changed(value: NodeOutput | NodeCall) -> None:
    with pytest.raises(FrozenInstanceError):
        value.data = 1  # type: ignore[misc]  # on purpose


def test_a_class_is_made_once_per_session_with_the_params() -> None:
    class Count(Node):
        def process(self, call: NodeCall) -> NodeOutput:
            return NodeOutput(data=self.params["start"])

    params: dict[str, Any] = {"start": 3}
    first, second = make_node(Count, params), make_node(Count, params)
    assert first is not second
    assert isinstance(first, Count)
    assert first.process(call()) == NodeOutput(data=3)
