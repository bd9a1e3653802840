"""What counts as a node, and how it is called."""

from __future__ import annotations

import asyncio
import re
import threading
from dataclasses import FrozenInstanceError
from functools import partial
from typing import Any

import pytest

from remotemedia.testing import Node, NodeCall, NodeOutput, Parameter
from remotemedia.testing.node import NodeReturn, NodeType, make_node
from remotemedia.v1 import ResourceLimits


def call(data: object = None, sequence: int | None = None) -> NodeCall:
    return NodeCall("n", {}, None, data, {}, ResourceLimits(), sequence)


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


async def test_an_async_object_needs_no_thread() -> None:
    entered: list[NodeCall] = []

    class Noting:
        async def __call__(self, call: NodeCall) -> None:
            entered.append(call)

    task = asyncio.create_task(answer(Noting(), None))
    await asyncio.sleep(0)
    # By way of a thread, it would take the loop some turns to come here. A call that is
    # cancelled meanwhile would leave a coroutine that nobody awaits.
    assert len(entered) == 1
    await task


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


async def test_a_function_that_raises_stop_iteration_fails() -> None:
    with pytest.raises(RuntimeError, match="StopIteration"):
        await asyncio.wait_for(answer(lambda call: next(iter([])), None), 5)


class Counter(Node):
    """Counts its calls."""

    count = 0

    def process(self, call: NodeCall) -> int:
        self.count += 1
        return self.count


@pytest.mark.parametrize(
    ("last", "result"),
    [(call(), 1), (call(sequence=7), None), (call("data", sequence=7), 1)],
    ids=["an execution", "nothing held back upstream", "something held back upstream"],
)
def test_by_default_the_last_call_is_one_like_the_others(
    last: NodeCall, result: int | None
) -> None:
    assert Counter({}).process_last(last) == result


class Gain(Counter):
    parameters = (
        Parameter(
            "gain", "a float", lambda value: isinstance(value, float), "dB", 1.5, "db"
        ),
        Parameter("mode", "soft or hard", lambda value: value in ("soft", "hard")),
    )


def test_declared_parameters_are_filled_in() -> None:
    node = Gain({"mode": "soft"})
    assert node.values == {"gain": 1.5, "mode": "soft"}
    assert node.params == {"mode": "soft"}
    assert Gain({"mode": "soft", "db": 2.5}).values["gain"] == 2.5


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "params.mode is None; it must be soft or hard"),
        ({"mode": "soft", "gain": 1}, "params.gain is 1; it must be a float, in dB"),
        ({"mode": "so" * 99}, "params.mode is 'sososo"),
        ({"mdoe": "soft"}, "there is no parameter 'mdoe'; did you mean 'mode'?"),
        ({"xyz": 1}, "there is no parameter 'xyz'; it has gain, mode"),
    ],
)
def test_declared_parameters_are_checked(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        Gain(params)
    assert len(str(caught.value)) < 100


def test_a_node_without_declared_parameters_takes_any() -> None:
    node = Counter({"anything": 1})
    assert (node.params, node.values) == ({"anything": 1}, {})
