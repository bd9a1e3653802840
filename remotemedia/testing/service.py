"""The embedded service itself: its options, its socket, and who may call."""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from grpclib.const import Status
from grpclib.events import RecvRequest, listen
from grpclib.exceptions import GRPCError

from remotemedia.http2.compat import listening_port
from remotemedia.testing.audio_nodes import AUDIO_NODES
from remotemedia.testing.execution import ExecutionService
from remotemedia.testing.nodes import REFERENCE_NODES
from remotemedia.testing.script import FaultScript
from remotemedia.testing.streaming import StreamingService
from remotemedia.testing.transport import SocketServer, Stopwatch, serialization
from remotemedia.v1 import ResourceLimits

if TYPE_CHECKING:
    import ssl as ssl_module
    from types import TracebackType

    from typing_extensions import Self

    from remotemedia.testing.faults import Fault
    from remotemedia.testing.node import NodeType

IDLE_TIMEOUT = 300.0
"""Seconds after which the contract has an idle session dropped."""


class LocalService:
    """A pipeline service in this process, on a real socket, for tests and trials.

    It behaves as the v1 contract says::

        async with LocalService(nodes={"Upper": lambda call: call.data.upper()}) as s:
            async with RemoteMediaClient(s.address) as client:
                ...

    It knows the node types ``PassThrough``, ``PassThroughNode``, ``Echo``,
    ``CalculatorNode``, ``AddNode`` and ``MultiplyNode``; ``AudioResample``,
    ``AudioFormatConverter`` and ``VAD``; and those that it is given.

    An execution gives back what the sinks gave, the nodes that no connection leaves,
    and the data that any other node gives beside its audio, such as VAD's. On a
    stream the audio of the sink is called ``output``, or goes by the node's id where
    there are several sinks. The time limit holds for an execution, or for each chunk.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        path: str | os.PathLike[str] | None = None,
        ssl: ssl_module.SSLContext | None = None,
        token: str | None = None,
        nodes: Mapping[str, NodeType] | None = None,
        limits: ResourceLimits | None = None,
        idle_timeout: float = IDLE_TIMEOUT,
        faults: Iterable[Fault] = (),
    ) -> None:
        """Configure the service; it starts with :meth:`start` or ``async with``.

        Args:
            host: the interface to listen on.
            port: the port to listen on; 0 for any that is free.
            path: the path of a unix socket, to be used instead of host and port.
            ssl: a server's context, for TLS. HTTP/2 is set as its protocol.
            token: the bearer token that every call must show; None for no check.
            nodes: more node types: a function of a ``NodeCall``, or a ``Node`` class.
                They come before the built-in ones of the same name.
            limits: the defaults for calls that ask for none; zero in a field for the
                contract's: 100 MB, 5 s, 10,000,000 samples a buffer. The contract's
                caps, 1 GB and 30 s, always hold.
            idle_timeout: seconds without a message after which a session is dropped.
            faults: what is to go wrong; see ``Fault``.
        """
        self._host = host
        self._port = port
        self._path = None if path is None else Path(path)
        self._ssl = ssl
        if ssl is not None:
            ssl.set_alpn_protocols(["h2"])
        self._token = token
        node_types = {**REFERENCE_NODES, **AUDIO_NODES, **(nodes or {})}
        limits = limits or ResourceLimits()
        self._services = (
            ExecutionService(node_types, limits),
            StreamingService(node_types, limits, idle_timeout),
        )
        self._faults = FaultScript(faults)
        self._server: SocketServer | None = None
        self._address = ""

    @property
    def address(self) -> str:
        """Where clients find it: ``host:port``, ``[v6]:port`` or ``unix:/path``.

        Raises:
            RuntimeError: it never started.
        """
        if not self._address:
            raise RuntimeError(
                "the service has no address before it starts: async with service"
            )
        return self._address

    def add_fault(self, fault: Fault) -> None:
        """Have one more thing go wrong, in calls that begin from now on."""
        self._faults.add(fault)

    async def start(self) -> None:
        """Listen for calls.

        Raises:
            OSError: the address is taken, or there is no such interface.
            RuntimeError: it runs already.
        """
        if self._server is not None:
            raise RuntimeError("the service runs already")
        server = SocketServer(self._services)
        listen(server, RecvRequest, self._admit)
        listen(server, RecvRequest, self._faults.on_request)
        if self._path is not None:
            await server.start(path=str(self._path), ssl=self._ssl)
            self._address = f"unix:{self._path.absolute()}"
        else:
            await server.start(self._host, self._port, ssl=self._ssl)
            host = f"[{self._host}]" if ":" in self._host else self._host
            self._address = f"{host}:{listening_port(server)}"
        self._server = server

    async def stop(self) -> None:
        """Cancel the calls in flight, hang up, and free the address.

        It may be started again; with port 0 it then has another address. Does
        nothing where it does not run.
        """
        server, self._server = self._server, None
        if server is None:
            return
        await server.stop()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop."""
        await self.stop()

    async def _admit(self, event: RecvRequest) -> None:
        """Let a call in, if it shows the token."""
        serialization.set(Stopwatch())
        if self._token is None:
            return
        shown = event.metadata.get("authorization", "")
        wanted = f"Bearer {self._token}"
        if not hmac.compare_digest(str(shown).encode(), wanted.encode()):
            raise GRPCError(
                Status.UNAUTHENTICATED,
                "the bearer token in the metadata 'authorization' is "
                f"{'wrong' if shown else 'missing'}",
            )
