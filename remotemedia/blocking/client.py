"""The blocking client: ``RemoteMediaClient`` without ``await``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal, overload

from typing_extensions import Unpack

from remotemedia.blocking.derive import Blocking, described, makes, waits_for
from remotemedia.blocking.stream import ChunkResults, PipelineStream
from remotemedia.blocking.stub import Stub
from remotemedia.client import ClientOptions, ResultT_co, StubT
from remotemedia.client import RemoteMediaClient as AsyncClient
from remotemedia.contracts import ContractName
from remotemedia.session import ChunkT_co
from remotemedia.v1 import ChunkResult, ExecutionResult

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from remotemedia import data


class RemoteMediaClient(
    Blocking[AsyncClient[ResultT_co, ChunkT_co]], Generic[ResultT_co, ChunkT_co]
):
    """A connection to a RemoteMedia pipeline service, for programs without asyncio.

    ::

        with RemoteMediaClient("localhost:50051", token="…") as client:
            result = client.execute_pipeline(manifest, {"src": buffer})

    It may be used from any number of threads at once. After a fork, the new process
    needs a client of its own.
    """

    @overload
    def __init__(
        self: RemoteMediaClient[ExecutionResult, ChunkResult],
        address: str | Sequence[str] = "localhost:50051",
        *,
        contract: Literal["audio"] | None = None,
        **options: Unpack[ClientOptions],
    ) -> None: ...

    @overload
    def __init__(
        self: RemoteMediaClient[data.ExecutionResult, data.ChunkResult],
        address: str | Sequence[str] = "localhost:50051",
        *,
        contract: Literal["data"],
        **options: Unpack[ClientOptions],
    ) -> None: ...

    @overload
    def __init__(
        self: RemoteMediaClient[ExecutionResult, ChunkResult],
        address: str | Sequence[str] = "localhost:50051",
        *,
        contract: ContractName | None,
        **options: Unpack[ClientOptions],
    ) -> None: ...

    @described(AsyncClient)
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Make a client; nothing is sent yet."""
        # Which of the overloads it is, type checkers know of whoever calls this.
        make: Any = AsyncClient
        super().__init__(make(*args, **kwargs))

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.disconnect()

    @property
    def contract(self) -> ContractName | None:
        """Which set of messages the service speaks; None before that is known."""
        return self._asynchronous.contract

    @waits_for(AsyncClient.connect)
    def connect(self) -> None:
        """Connect, and check that the service speaks this client's version."""

    @waits_for(AsyncClient.disconnect)
    def disconnect(self) -> None:
        """Close the connection; calls that are under way fail."""

    @waits_for(AsyncClient.wait_until_ready)
    def wait_until_ready(self) -> None:
        """Connect, and wait until the service serves."""

    @waits_for(AsyncClient.get_version)
    def get_version(self) -> None:
        """Ask what the service is, and what it can do."""

    @waits_for(AsyncClient[ResultT_co, ChunkT_co].execute_pipeline)
    def execute_pipeline(self) -> None:
        """Run a pipeline once, from whole inputs to whole outputs."""

    @makes(AsyncClient[ResultT_co, ChunkT_co].stream_pipeline, ChunkResults[ChunkT_co])
    def stream_pipeline(self) -> None:
        """Send audio chunk by chunk, and iterate over the results in order.

        ``audio_chunks`` is iterated in a thread of its own.
        """

    @makes(AsyncClient[ResultT_co, ChunkT_co].open_stream, PipelineStream[ChunkT_co])
    def open_stream(self) -> None:
        """Open a live session: send audio and read results independently.

        ``audio_chunks``, if there is one, is iterated in a thread of its own.
        """

    def stub(self, cls: type[StubT], *, idempotent: bool = False) -> Stub[StubT]:
        """Makes the calls of a generated stub of any service, over this connection.

        They have what the client's own calls have; see ``remotemedia.blocking.Stub``.

        The arguments and the errors are those of
        ``remotemedia.RemoteMediaClient.stub``.
        """
        return Stub(self._asynchronous.stub(cls, idempotent=idempotent))
