"""What differs between the contracts: the front ends of the embedded service.

The engine, which is the pipelines and the sessions, knows no messages of requests and
responses. A front end turns the messages of one contract into what the engine takes,
and what the engine gives into messages. ``audio_front`` and ``data_front`` are the two
front ends; only the chosen one is imported.

What both contracts have with the same fields is the audio contract's message in the
engine: manifests, limits, metrics, and all that a service says about a session.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from remotemedia.v1 import PipelineManifest, ResourceLimits, StreamResponse

if TYPE_CHECKING:
    import betterproto
    from grpclib.const import Handler

    from remotemedia.errors import RemoteMediaError
    from remotemedia.session import Event
    from remotemedia.testing.node import NodeType
    from remotemedia.testing.pipeline import NodeInput, Outputs
    from remotemedia.testing.reflection import DescribedFile

DataT = TypeVar("DataT")
RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")


@dataclass(frozen=True)
class PipelineRequest:
    """A pipeline that a client wants to run, once or chunk by chunk.

    Attributes:
        manifest: the pipeline.
        inputs: what the client sends with it, by node id.
        limits: the limits that the client asks for.
        client_version: the version of the protocol that the client speaks.
    """

    manifest: PipelineManifest
    inputs: Mapping[str, NodeInput]
    limits: ResourceLimits
    client_version: str


@dataclass(frozen=True)
class ChunkOutput(Generic[DataT]):
    """What a pipeline made of one chunk.

    Attributes:
        sequence: the number of the chunk.
        outputs: the outputs.
        processing_time_ms: how long it took.
        total_samples: the samples, over all channels, that the session has received.
    """

    sequence: int
    outputs: Outputs[DataT]
    processing_time_ms: float
    total_samples: int


class StreamFront(ABC, Generic[RequestT, ResponseT, DataT]):
    """Reads and writes the messages of one session."""

    @abstractmethod
    def event(self, request: RequestT) -> tuple[Event, int]:
        """What a message of the client is, and the number of its chunk, or 0."""

    @abstractmethod
    def opening(self, request: RequestT) -> PipelineRequest:
        """Read an init.

        Raises:
            RemoteMediaError: VALIDATION, if the inputs are not valid.
        """

    @abstractmethod
    def chunk(self, request: RequestT) -> Mapping[str, NodeInput]:
        """Read a chunk.

        Raises:
            RemoteMediaError: VALIDATION, if the input is not valid.
        """

    @abstractmethod
    def loading(self, manifest: PipelineManifest) -> Iterator[ResponseT]:
        """What a service says of its nodes before the session is ready."""

    @abstractmethod
    def result(self, output: ChunkOutput[DataT]) -> ResponseT:
        """Make the message of a result.

        Raises:
            RemoteMediaError: NODE_EXECUTION, if it cannot be said.
        """

    @abstractmethod
    def response(self, response: StreamResponse) -> ResponseT:
        """Make any other message than a result or an error."""

    @abstractmethod
    def error(self, error: RemoteMediaError) -> ResponseT:
        """Make the message that ends a session."""


class Servable(Protocol):
    """A service: it names the handler of each of its routes."""

    def __mapping__(self) -> Mapping[str, Handler]: ...


class Front(ABC):
    """One contract, as the service speaks it.

    Attributes:
        max_request_bytes: the contract's limit for one request message.
        files: the compiled protos.
    """

    max_request_bytes: int
    files: Mapping[str, DescribedFile]

    @abstractmethod
    def services(
        self,
        node_types: Mapping[str, NodeType],
        limits: ResourceLimits,
        idle_timeout: float,
    ) -> tuple[Servable, ...]:
        """Make the services of the contract."""

    @abstractmethod
    def execution_error(self, error: RemoteMediaError) -> betterproto.Message:
        """Make the response that reports an error of an execution in its message."""

    @abstractmethod
    def stream_error(self, error: RemoteMediaError) -> betterproto.Message:
        """Make the response that reports an error of a session in its message."""
