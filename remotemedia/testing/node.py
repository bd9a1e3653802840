"""The nodes of the embedded service, as a user writes them.

A node is a function, plain or async, that takes a :class:`NodeCall` and returns audio
or data. A node that keeps state from one chunk to the next is a subclass of
:class:`Node` instead.
"""

from __future__ import annotations

import asyncio
import inspect
import reprlib
import sys
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, TypeGuard, Union, cast

from betterproto import Message

from remotemedia.values import Json

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from remotemedia.data_v1 import (
        BinaryBuffer,
        FileBuffer,
        NumpyBuffer,
        TensorBuffer,
        TextBuffer,
        VideoFrame,
    )
    from remotemedia.v1 import AudioBuffer, ResourceLimits

# Nothing is imported for these where no type checker looks.
Data: TypeAlias = Union[
    "Json",
    "VideoFrame",
    "TensorBuffer",
    "NumpyBuffer",
    "TextBuffer",
    "BinaryBuffer",
    "FileBuffer",
    "npt.NDArray[np.generic]",
    bytes,
]
"""What is not audio; None counts as no data.

Only the data contract carries more than JSON.

The nodes after it get an array as a ``NumpyBuffer``, and bytes as a ``BinaryBuffer``. A
``str`` is JSON; text of the data contract is a ``TextBuffer``.
"""


class WrongKindError(ValueError):
    """A node was sent a kind of data that it does not take."""


def is_message(value: object) -> bool:
    """Whether a value is audio, or data of another kind than JSON."""
    return isinstance(value, Message)


def is_array(value: object) -> TypeGuard[npt.NDArray[Any]]:
    """Whether a value is an array of numpy's."""
    # Who has an array has imported numpy.
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.ndarray)


@dataclass(frozen=True)
class NodeOutput:
    """The output of a node: audio, data, both or nothing."""

    audio: AudioBuffer | None = None
    data: Data = None

    @property
    def is_something(self) -> bool:
        """Whether there is audio or data."""
        return self.audio is not None or self.data is not None


@dataclass(frozen=True)
class NodeCall:
    """The input of a node, for one execution or for one chunk of a session.

    Attributes:
        node_id: the node's id in the manifest.
        params: the node's parameters.
        audio: the audio that the client sent to this node; otherwise the audio of the
            first upstream node that returned some; otherwise None.
        data: the data that the client sent to this node; otherwise the data of the
            first upstream node that returned some; otherwise None. JSON comes as its
            value, and the other kinds of the data contract as messages of
            ``remotemedia.data_v1``.
        upstream: the output of each upstream node, by node id, in the order of the
            connections; for nodes that combine several inputs. Inputs that the client
            sends by name, with the data contract, are here as well.
        limits: the limits that apply.
        sequence: the number of the chunk in its session, and of the last chunk where
            the client closes the session; None in an execution.
    """

    node_id: str
    # A JSON object of any shape, as json.loads returns it.
    params: Mapping[str, Any]
    audio: AudioBuffer | None
    data: Any
    upstream: Mapping[str, NodeOutput]
    limits: ResourceLimits
    sequence: int | None


NodeReturn: TypeAlias = "NodeOutput | AudioBuffer | Data"
"""What a node may return: audio, data, or both in a ``NodeOutput``."""

NodeFunction: TypeAlias = "Callable[[NodeCall], NodeReturn | Awaitable[NodeReturn]]"
"""A node as a function. A plain function runs in a thread, so it may block; if it
exceeds the time limit, the call fails while the thread runs until it returns."""


@dataclass(frozen=True)
class Parameter:
    """What a node type says about one of its parameters.

    Attributes:
        name: the name.
        type: what a value must be, with an article, such as ``"a number"``.
        is_valid: whether a JSON value is one.
        unit: the unit of the value, or "".
        default: the value if the manifest has none; None if the manifest must have one.
        alias: another name that older programs use for the parameter, or "".
    """

    name: str
    type: str
    is_valid: Callable[[Any], bool]
    unit: str = ""
    default: Json = None
    alias: str = ""


class Node(ABC):
    """A node with state: each execution and each session has its own instance.

    Attributes:
        parameters: the parameters of the node type. The service refuses any
            other parameter. None, the default, leaves all checks to ``__init__``.
        params: the parameters in the manifest.
        values: the declared parameters, with the defaults filled in.
    """

    parameters: ClassVar[Sequence[Parameter] | None] = None

    def __init__(self, params: Mapping[str, Any]) -> None:
        """Check the parameters against those that are declared.

        Raises:
            ValueError: a parameter is unknown, missing or wrong. The service then
                refuses the pipeline with ``ErrorType.VALIDATION``.
        """
        self.params = params
        self.values: dict[str, Any] = {}
        if self.parameters is not None:
            _refuse_unknown(params, self.parameters)
            for parameter in self.parameters:
                self.values[parameter.name] = _value(params, parameter)

    @abstractmethod
    def process(self, call: NodeCall) -> NodeReturn | Awaitable[NodeReturn]:
        """Process one call; the calls of a node never overlap.

        A plain method blocks the whole service while it runs, so a method that waits
        or computes for long should be async.

        Raises:
            RemoteMediaError: the call fails with this error.
            Exception: the call fails with ``ErrorType.NODE_EXECUTION``.
        """

    def process_last(self, call: NodeCall) -> NodeReturn | Awaitable[NodeReturn]:
        """Process the last call, in place of ``process``: no other one follows.

        A node that holds something back, as a filter does, overrides this method, and
        returns what it held back together with what it makes of the call. The last
        call of an execution is its only one. The last call of a session comes when the
        client closes it, and has what the upstream nodes held back; its audio and data
        are None if that is nothing. A session that is cancelled has no last call.
        """
        is_execution = call.sequence is None
        if is_execution or call.audio is not None or call.data is not None:
            return self.process(call)
        return None


NodeType: TypeAlias = "NodeFunction | type[Node]"
"""The implementation of a node type: a function, or a subclass of ``Node``."""


class FunctionNode(Node):
    """A node that calls a function."""

    def __init__(self, params: Mapping[str, Any], function: NodeFunction) -> None:
        super().__init__(params)
        self._function = function
        # An object that is called may have an async `__call__`.
        self._is_async = inspect.iscoroutinefunction(
            function
        ) or inspect.iscoroutinefunction(type(function).__call__)

    async def process(self, call: NodeCall) -> NodeReturn:
        """Call the function."""
        if self._is_async:
            result = self._function(call)
        else:
            result = await asyncio.to_thread(self._call_in_thread, call)
        # A plain callable, such as a lambda, may still return a coroutine.
        return await result if isinstance(result, Awaitable) else result

    def _call_in_thread(self, call: NodeCall) -> NodeReturn | Awaitable[NodeReturn]:
        try:
            return self._function(call)
        except StopIteration as error:
            # A future cannot hold it, so the call would never end.
            raise RuntimeError("the node raised StopIteration") from error


def make_node(node_type: NodeType, params: Mapping[str, Any]) -> Node:
    """Make a node, for one execution or for one session."""
    if isinstance(node_type, type) and issubclass(node_type, Node):
        return node_type(params)
    return FunctionNode(params, cast("NodeFunction", node_type))


def _refuse_unknown(params: Mapping[str, Any], parameters: Sequence[Parameter]) -> None:
    names = [parameter.name for parameter in parameters]
    known = {*names, *(parameter.alias for parameter in parameters)}
    for name in params:
        if name not in known:
            close = get_close_matches(name, names, 1)
            hint = (
                f"did you mean {close[0]!r}?"
                if close
                else f"it has {', '.join(names) or 'none'}"
            )
            raise ValueError(f"there is no parameter {name!r}; {hint}")


def _value(params: Mapping[str, Any], parameter: Parameter) -> Any:
    name = parameter.name
    value = params.get(name, params.get(parameter.alias, parameter.default))
    if not parameter.is_valid(value):
        unit = f", in {parameter.unit}" if parameter.unit else ""
        raise ValueError(
            f"params.{name} is {reprlib.repr(value)}; it must be {parameter.type}{unit}"
        )
    return value
