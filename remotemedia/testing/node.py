"""The nodes of the embedded service, as a user writes them.

A node is a function, plain or async, that takes a :class:`NodeCall` and returns audio
or data. A node that keeps state from one chunk to the next is a subclass of
:class:`Node` instead.
"""

from __future__ import annotations

import asyncio
import inspect
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, cast

if TYPE_CHECKING:
    from remotemedia.v1 import AudioBuffer, ResourceLimits

Json: TypeAlias = (
    "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
)
"""A value that JSON can represent. None counts as no data."""


@dataclass(frozen=True)
class NodeOutput:
    """The output of a node: audio, data, both or nothing."""

    audio: AudioBuffer | None = None
    data: Json = None


@dataclass(frozen=True)
class NodeCall:
    """The input of a node, for one execution or for one chunk of a session.

    Attributes:
        node_id: the node's id in the manifest.
        params: the node's parameters.
        audio: the audio that the client sent to this node; otherwise the audio of the
            first upstream node that returned some; otherwise None.
        data: the JSON value that the client sent to this node; otherwise the data of
            the first upstream node that returned some; otherwise None.
        upstream: the output of each upstream node, by node id, in the order of the
            connections; for nodes that combine several inputs.
        limits: the limits that apply.
        sequence: the number of the chunk in its session; None in an execution.
    """

    node_id: str
    # A JSON object of any shape, as json.loads returns it.
    params: Mapping[str, Any]
    audio: AudioBuffer | None
    data: Any
    upstream: Mapping[str, NodeOutput]
    limits: ResourceLimits
    sequence: int | None


NodeReturn: TypeAlias = "NodeOutput | AudioBuffer | Json"
"""What a node may return: audio, data, or both in a ``NodeOutput``."""

NodeFunction: TypeAlias = "Callable[[NodeCall], NodeReturn | Awaitable[NodeReturn]]"
"""A node as a function. A plain function runs in a thread, so it may block; if it
exceeds the time limit, the call fails while the thread runs until it returns."""


class Node(ABC):
    """A node with state: each execution and each session has its own instance."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        """Check the parameters.

        Raises:
            ValueError: a parameter is missing or wrong. The service then refuses the
                pipeline with ``ErrorType.VALIDATION``.
        """
        self.params = params

    @abstractmethod
    def process(self, call: NodeCall) -> NodeReturn | Awaitable[NodeReturn]:
        """Process one call; the calls of a node never overlap.

        A plain method blocks the whole service while it runs, so a method that waits
        or computes for long should be async.

        Raises:
            RemoteMediaError: the call fails with this error.
            Exception: the call fails with ``ErrorType.NODE_EXECUTION``.
        """


NodeType: TypeAlias = "NodeFunction | type[Node]"
"""The implementation of a node type: a function, or a subclass of ``Node``."""


class FunctionNode(Node):
    """A node that calls a function."""

    def __init__(self, params: Mapping[str, Any], function: NodeFunction) -> None:
        super().__init__(params)
        self._function = function
        self._is_async = inspect.iscoroutinefunction(function)

    async def process(self, call: NodeCall) -> NodeReturn:
        """Call the function."""
        if self._is_async:
            result = self._function(call)
        else:
            result = await asyncio.to_thread(self._function, call)
        # A plain callable, such as a lambda, may still return a coroutine.
        return await result if isinstance(result, Awaitable) else result


def make_node(node_type: NodeType, params: Mapping[str, Any]) -> Node:
    """Make a node, for one execution or for one session."""
    if isinstance(node_type, type) and issubclass(node_type, Node):
        return node_type(params)
    return FunctionNode(params, cast("NodeFunction", node_type))
