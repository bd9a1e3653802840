"""The embedded service: its options, its lifetime, and the check of the token."""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from grpclib.const import Status
from grpclib.events import RecvRequest, listen
from grpclib.exceptions import GRPCError

from remotemedia.blocking.loop import wait_for
from remotemedia.contracts import ContractName
from remotemedia.http2.compat import listening_port
from remotemedia.testing import health
from remotemedia.testing.audio_nodes import AUDIO_NODES
from remotemedia.testing.call_log import log_call, log_refusal
from remotemedia.testing.front import Front, Servable
from remotemedia.testing.health import HealthService
from remotemedia.testing.nodes import REFERENCE_NODES
from remotemedia.testing.reflection import ReflectionService
from remotemedia.testing.script import FaultScript
from remotemedia.testing.transport import (
    SocketServer,
    Stopwatch,
    let_call_end,
    serialization,
)
from remotemedia.v1 import ResourceLimits

if TYPE_CHECKING:
    import ssl as ssl_module
    from types import TracebackType

    from typing_extensions import Self

    from remotemedia.testing.faults import Fault
    from remotemedia.testing.node import NodeType

IDLE_TIMEOUT = 300.0
"""Seconds after which the contract ends an idle session."""


class LocalService:
    """A pipeline service in this process, on a real socket.

    It behaves as the contract says, the audio contract or the data contract::

        async with LocalService(nodes={"Upper": lambda call: call.data.upper()}) as s:
            async with RemoteMediaClient(s.address) as client:
                ...

    For the blocking client it is a plain context manager: ``with LocalService() as s``.

    The built-in node types are ``PassThrough``, ``PassThroughNode``, ``Echo``,
    ``CalculatorNode``, ``AddNode``, ``MultiplyNode``, ``AudioResample``,
    ``AudioFormatConverter`` and ``VAD``. Their parameters are in
    ``docs/reference/nodes.md``.

    A result has the audio and the data of the sinks, which are the nodes that no
    connection leaves, and the data of any other node that returned data together with
    audio, such as VAD. Each output is named by the id of its node. The time limit is
    for a whole execution, or for each chunk.

    Beside the contract, it has the standard health service and server reflection, so
    that ``grpcurl`` works against it, and logs each call at DEBUG to
    ``remotemedia.testing``.
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
        max_request_bytes: int | None = None,
        faults: Iterable[Fault] = (),
        contract: ContractName = "audio",
    ) -> None:
        """Configure the service; :meth:`start` or ``async with`` starts it.

        Args:
            host: the interface to listen on.
            port: the port to listen on; 0 for any free port.
            path: the path of a unix socket to listen on instead of host and port.
            ssl: a server-side context, for TLS. Its ALPN protocol is set to HTTP/2.
            token: the bearer token that every call must carry; None for no check.
            nodes: more node types by name, each a function of a ``NodeCall`` or a
                subclass of ``Node``. They replace built-in types of the same name.
            limits: the default limits of a call. A field that is zero means the
                contract's default: 100 MB, 5 s, 10,000,000 samples in a buffer. The
                contract's caps, 1 GB and 30 s, always apply.
            idle_timeout: seconds without a message after which a session ends.
            max_request_bytes: the size of the largest request message that is accepted;
                None for the contract's limit: 4 MiB for audio, and 10 MiB for data.
            faults: what is to go wrong; see ``Fault``.
            contract: the set of messages that the service speaks: ``"audio"``, the one
                of October 2025, or ``"data"``, the one after it.

        Raises:
            ValueError: `max_request_bytes` is not positive, or there is no such
                contract.
        """
        front = front_of(contract)
        if max_request_bytes is None:
            max_request_bytes = front.max_request_bytes
        if max_request_bytes <= 0:
            raise ValueError(
                f"max_request_bytes is {max_request_bytes}; it must be positive"
            )
        self._max_request_bytes = max_request_bytes
        self._host = host
        self._port = port
        self._path = None if path is None else Path(path)
        self._ssl = ssl
        if ssl is not None:
            if not hasattr(ssl, "set_alpn_protocols"):
                raise TypeError(
                    f"ssl is {type(ssl).__name__}; a service needs an SSLContext of "
                    "the server side, with its certificate loaded"
                )
            ssl.set_alpn_protocols(["h2"])
        self._token = token
        node_types = {**REFERENCE_NODES, **AUDIO_NODES, **(nodes or {})}
        services = front.services(node_types, limits or ResourceLimits(), idle_timeout)
        names = _names(services)
        self._health = HealthService(names)
        reflection = ReflectionService([*names, health.SERVICE], front.files)
        self._services = (*services, self._health, reflection)
        self._faults = FaultScript(faults, front)
        self._server: SocketServer | None = None
        self._address = ""

    @property
    def address(self) -> str:
        """The address for clients: ``host:port``, ``[v6]:port`` or ``unix:/path``.

        Raises:
            RuntimeError: the service was never started.
        """
        if not self._address:
            raise RuntimeError(
                "the service has no address before it starts: use it as a context "
                "manager (`async with` or `with`)"
            )
        return self._address

    @property
    def is_serving(self) -> bool:
        """What the health service (``grpc.health.v1``) says; True at first.

        Calls are served in either case.
        """
        return self._health.is_serving

    @is_serving.setter
    def is_serving(self, is_serving: bool) -> None:
        self._health.is_serving = is_serving

    def add_fault(self, fault: Fault) -> None:
        """Add a fault, for calls that begin from now on."""
        self._faults.add(fault)

    @property
    def pending_faults(self) -> list[Fault]:
        """The faults that have not happened yet, or not as many times as they say.

        At the end of a test it is empty, unless a fault concerned no call.
        """
        return self._faults.unfinished()

    async def start(self) -> None:
        """Listen for calls.

        Raises:
            OSError: the address is in use, or there is no such interface.
            RuntimeError: the service is running.
        """
        if self._server is not None:
            raise RuntimeError("the service runs already")
        server = SocketServer(self._services, self._max_request_bytes)
        listen(server, RecvRequest, self._admit)
        listen(server, RecvRequest, self._faults.on_request)
        listen(server, RecvRequest, _let_call_end)
        listen(server, RecvRequest, log_call)
        if self._path is not None:
            await server.start(path=str(self._path), ssl=self._ssl)
            self._address = f"unix:{self._path.absolute()}"
        else:
            await server.start(self._host, self._port, ssl=self._ssl)
            host = f"[{self._host}]" if ":" in self._host else self._host
            self._address = f"{host}:{listening_port(server)}"
        self._server = server

    async def stop(self) -> None:
        """Cancel the calls in progress, close the connections and free the address.

        The service may be started again; with port 0, its address then changes.
        Nothing happens if the service is not running.
        """
        server, self._server = self._server, None
        if server is None:
            return
        await server.stop()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    async def __aenter__(self) -> Self:
        """Start the service."""
        await self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the service."""
        await self.stop()

    def __enter__(self) -> Self:
        """Start the service on a background event loop, for programs without asyncio.

        It runs in another thread then, and so do the functions of its nodes.
        """
        wait_for(self.start())
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the service."""
        wait_for(self.stop())

    async def _admit(self, event: RecvRequest) -> None:
        """Start the measurements of a call, and refuse it without the right token."""
        serialization.set(Stopwatch())
        if self._token is None:
            return
        shown = event.metadata.get("authorization", "")
        expected = f"Bearer {self._token}"
        if not hmac.compare_digest(str(shown).encode(), expected.encode()):
            log_refusal(event, Status.UNAUTHENTICATED)
            raise GRPCError(
                Status.UNAUTHENTICATED,
                "the bearer token in the metadata 'authorization' is "
                f"{'wrong' if shown else 'missing'}",
            )


def front_of(contract: ContractName) -> Front:
    """The front end of a contract.

    Raises:
        ValueError: there is no such contract.
    """
    if contract == "audio":
        from remotemedia.testing.audio_front import AudioFront

        return AudioFront()
    if contract == "data":
        from remotemedia.testing.data_front import DataFront

        return DataFront()
    raise ValueError(f"contract is {contract!r}; it must be 'audio' or 'data'")


def _names(services: Iterable[Servable]) -> list[str]:
    """The full names of services, such as ``remotemedia.v1.StreamingService``."""
    return [next(iter(each.__mapping__())).split("/")[1] for each in services]


async def _let_call_end(event: RecvRequest) -> None:
    event.method_func = partial(let_call_end, event.method_func)
