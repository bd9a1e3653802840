"""What a node of the embedded service is, what goes in, and what comes out.

A node is written as a function of a :class:`NodeCall`, plain or async, or, where it
keeps something from one chunk to the next, as a subclass of :class:`Node`.
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
"""What JSON can say. None is JSON's null, and counts as no data."""


@dataclass(frozen=True)
class NodeOutput:
    """What a node gives: audio, data, both or nothing."""

    audio: AudioBuffer | None = None
    data: Json = None


@dataclass(frozen=True)
class NodeCall:
    """What reaches a node: once an execution, or once a chunk of a session.

    Attributes:
        node_id: the node's id in the manifest.
        params: the node's parameters.
        audio: the audio that the client sent to this node, or else that of the
            first connected node that gave some; or None.
        data: the JSON value that the client sent to this node, or else that of the
            first connected node that gave some; or None.
        upstream: what each connected node gave, by node id, in the order of the
            connections; for nodes that join several.
        limits: the limits in force.
        sequence: number of the chunk in its session; None in an execution.
    """

    node_id: str
    # JSON objects of any shape, as json.loads returns them.
    params: Mapping[str, Any]
    audio: AudioBuffer | None
    data: Any
    upstream: Mapping[str, NodeOutput]
    limits: ResourceLimits
    sequence: int | None


NodeReturn: TypeAlias = "NodeOutput | AudioBuffer | Json"
"""What a node may return: audio or data alone, or both in a ``NodeOutput``."""

NodeFunction: TypeAlias = "Callable[[NodeCall], NodeReturn | Awaitable[NodeReturn]]"
"""A node as a function. A plain one runs in a thread, so it may block; when its time
is up the call fails, while the thread runs on to the function's end."""


class Node(ABC):
    """A node with a state: one instance for each execution, or each session."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        """Check the parameters.

        Raises:
            ValueError: a parameter is missing or wrong. The pipeline is refused,
                with ``ErrorType.VALIDATION``.
        """
        self.params = params

    @abstractmethod
    def process(self, call: NodeCall) -> NodeReturn | Awaitable[NodeReturn]:
        """Answer one call; calls come one after the other.

        A plain method holds up the whole service while it runs. One that waits or
        takes long is async.

        Raises:
            RemoteMediaError: the call fails with this error.
            Exception: any other fails it with ``ErrorType.NODE_EXECUTION``.
        """


NodeType: TypeAlias = "NodeFunction | type[Node]"
"""What stands behind a node type: a function, or a class of nodes."""


class FunctionNode(Node):
    """A node made of a function."""

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
        # A plain callable may return a coroutine as well: a lambda, a partial.
        return await result if isinstance(result, Awaitable) else result


def make_node(node_type: NodeType, params: Mapping[str, Any]) -> Node:
    """Make a node for one execution or one session."""
    if isinstance(node_type, type) and issubclass(node_type, Node):
        return node_type(params)
    return FunctionNode(params, cast("NodeFunction", node_type))
