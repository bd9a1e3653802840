"""The link of a client to its service: the connection, and what goes with each call.

The client makes its calls through a ``Link``. The link opens a channel, checks that the
service speaks the client's version, and checks it again, beside the calls, when the
channel has connected again: the service may have been replaced. It gives each call its
operation, its metadata with an id, and a caller on the open channel.
"""

from __future__ import annotations

import asyncio
import dataclasses
import math
import weakref
from collections.abc import Callable
from types import EllipsisType
from typing import Any

from remotemedia.contracts import Contract, contract_of
from remotemedia.errors import RemoteMediaConnectionError, RemoteMediaError
from remotemedia.grpc import (
    AUTHORIZATION,
    REFUSED_ONLY,
    Caller,
    CallOptions,
    Channel,
    Compression,
    Metadata,
    MetadataLike,
    ResponseMetadata,
    Retries,
)
from remotemedia.manifest import VERSION
from remotemedia.operation import Operation
from remotemedia.record import OnCallEnd, log
from remotemedia.v1 import (
    ErrorType,
    PipelineExecutionServiceStub,
    VersionInfo,
    VersionRequest,
    VersionResponse,
)

REQUEST_ID = "x-request-id"
"""The metadata key that carries the id of a call."""

_NOT_CONNECTED = (
    "the client is not connected: use it as a context manager (`async with`, or `with` "
    "of remotemedia.blocking), or call connect() first"
)

_RECONNECT = "reconnect"
"""The operation that checks the version again after connecting again."""


class Link:
    """The link of one client.

    Args:
        address: where the calls go, as text.
        make_channel: makes a channel in the running event loop.
        options: what all calls have in common.
        metadata: sent with every call.
        exposed: where a token would travel in plaintext; "" for nowhere.
        on_call_end: is told of the end of each call.
        contract: the set of messages that the user chose; None to find it out.
        is_send_limit_of_contract: whether the largest request is what services of the
            contract take, and not what the options say.

    Attributes:
        address: where the calls go, as text.
        options: what all calls have in common.
        channel: the channel while the client is connected.
        contract: the set of messages that the service speaks; None if that is not
            known yet.
    """

    def __init__(
        self,
        address: str,
        make_channel: Callable[[], Channel],
        options: CallOptions,
        *,
        metadata: Metadata,
        exposed: str,
        on_call_end: OnCallEnd | None,
        contract: Contract[Any] | None,
        is_send_limit_of_contract: bool,
    ) -> None:
        self.address: str = address
        self.options: CallOptions = options
        self.channel: Channel | None = None
        self.contract: Contract[Any] | None = None
        self._is_contract_chosen = contract is not None
        self._is_send_limit_of_contract = is_send_limit_of_contract
        self._make_channel = make_channel
        self._metadata = metadata
        self._exposed = exposed
        self._on_call_end = on_call_end
        # A lock belongs to one event loop; a client may be used in several in turn.
        self._connecting: weakref.WeakKeyDictionary[
            asyncio.AbstractEventLoop, asyncio.Lock
        ] = weakref.WeakKeyDictionary()
        self._is_connecting = False
        self._retries = Retries()
        # The check of the version after connecting again, and what it found.
        self._checking: asyncio.Task[None] | None = None
        self._mismatch: str | None = None
        if contract is not None:
            self._speak(contract)

    async def connect(self, operation: Operation | None = None) -> None:
        """Connect, and check the version; nothing happens if it is connected.

        Args:
            operation: the user's call that needs the connection; by default, that is
                ``connect``.

        Raises:
            RemoteMediaError: the service cannot be reached or used.
        """
        loop = asyncio.get_running_loop()
        async with self._connecting.setdefault(loop, asyncio.Lock()):
            if self.channel is not None:
                if self.channel.is_usable_here:
                    return
                self.channel.abandon()
            self.channel = self._new_channel()
            self._mismatch = None
            self._is_connecting = True
            try:
                await self._check_version(
                    operation or self.operation("connect", is_idempotent=True)
                )
            except BaseException:
                await self.disconnect()
                raise
            finally:
                self._is_connecting = False

    async def disconnect(self) -> None:
        """Close the channel; nothing happens if there is none."""
        channel, self.channel = self.channel, None
        checking, self._checking = self._checking, None
        if channel is None:
            return
        if channel.is_usable_here:
            if checking is not None and not checking.done():
                checking.cancel()
                await asyncio.wait({checking})
            channel.close()
            await channel.wait_closed()
        else:
            channel.abandon()

    async def version(
        self,
        operation: Operation,
        timeout: float | EllipsisType | None,
        metadata: MetadataLike | None = None,
        compression: Compression | None = None,
        response_metadata: ResponseMetadata | None = None,
        wait_for_ready: bool | None = None,
        *,
        is_repeated: bool = True,
    ) -> VersionResponse:
        """Call GetVersion, for an operation; the rest is as ``get_version`` has it.

        Raises:
            RemoteMediaError: the call failed.
        """
        with operation:
            caller = self.caller(
                operation, is_repeated=is_repeated, wait_for_ready=wait_for_ready
            )
            return await PipelineExecutionServiceStub._over(caller).get_version(
                VersionRequest(client_version=VERSION),
                timeout=self.seconds(timeout),
                metadata=self.metadata(operation, metadata),
                compression=compression,
                response_metadata=response_metadata,
            )

    def messages(self) -> Contract[Any]:
        """The set of messages that the service speaks.

        Raises:
            RemoteMediaConnectionError: that is found out when the client connects.
        """
        if self.contract is None:
            raise RemoteMediaConnectionError(_NOT_CONNECTED)
        return self.contract

    def seconds(
        self, timeout: float | EllipsisType | None, most_s: float | None = None
    ) -> float:
        """The bound of a call, as a stub takes it: infinity for none.

        Args:
            timeout: what the user gave for the call.
            most_s: the bound where the user wants none.
        """
        seconds = self.options.timeout if timeout is ... else timeout
        if seconds is None:
            seconds = most_s
        return math.inf if seconds is None else seconds

    def operation(
        self, name: str, *, is_idempotent: bool = False, is_stream: bool = False
    ) -> Operation:
        """The operation of a call that begins now."""
        return Operation(
            name,
            self.address,
            is_idempotent=is_idempotent,
            is_stream=is_stream,
            on_call_end=self._on_call_end,
        )

    def caller(
        self,
        operation: Operation,
        *,
        is_repeated: bool | None = None,
        compression: Compression | None = None,
        wait_for_ready: bool | None = None,
        check: Callable[[Any], None] | None = None,
    ) -> Caller:
        """What makes the calls of an operation on the open connection.

        Args:
            operation: the user's call.
            is_repeated: whether the policy for retries holds; by default, if the
                operation is idempotent.
            compression: how requests are compressed; None for the client's way.
            wait_for_ready: whether to wait for a service that cannot be reached; None
                for what the client does.
            check: looks at the response.

        Raises:
            RemoteMediaConnectionError: the client is not connected here.
        """
        if self.channel is None:
            raise RemoteMediaConnectionError(_NOT_CONNECTED)
        if self.channel.is_orphan:
            # It was connected in an earlier `asyncio.run`.
            self.channel.abandon()
            self.channel = self._new_channel()
        if not self.channel.is_usable_here:
            raise RemoteMediaConnectionError(
                "the client is connected in another event loop or process: make one "
                "client for each"
            )
        if self._mismatch is not None and operation.name != _RECONNECT:
            raise RemoteMediaError(
                self._mismatch, error_type=ErrorType.VERSION_MISMATCH
            )
        if is_repeated is None:
            is_repeated = operation.is_idempotent
        retries = self._retries if is_repeated else REFUSED_ONLY
        options = self.options
        if compression is not None:
            options = dataclasses.replace(options, compression=compression)
        if wait_for_ready is not None:
            options = dataclasses.replace(options, wait_for_ready=wait_for_ready)
        return Caller(self.channel, options, operation, retries, check)

    def metadata(self, operation: Operation, metadata: MetadataLike | None) -> Metadata:
        """The client's metadata and a call's own, with the id of the call."""
        if metadata is not None and self._exposed:
            check_secrecy(Metadata.of(metadata), self._exposed)
        merged = self._metadata.merged(metadata)
        for key, value in merged:
            if key == REQUEST_ID:
                # The caller has an id of their own for the call.
                operation.request_id = str(value)
                return merged
        return Metadata((*merged, (REQUEST_ID, operation.request_id)))

    # -- the version, and the channel

    async def _check_version(self, operation: Operation) -> None:
        """Check that the service speaks this client's version.

        Raises:
            RemoteMediaError: it does not, or the call failed.
        """
        # Whoever connects wants to know at once that nobody is there.
        answer = await self.version(operation, ..., is_repeated=False)
        if not answer.compatible:
            raise RemoteMediaError(
                answer.compatibility_message
                or f"the service does not speak protocol {VERSION}",
                error_type=ErrorType.VERSION_MISMATCH,
                operation=operation.name,
                address=self.address,
            )
        if self._is_contract_chosen:
            self._warn_of_other_contract(answer.version_info)
        else:
            self._find_contract(operation, answer.version_info)

    def _find_contract(self, operation: Operation, version: VersionInfo) -> None:
        """Note which set of messages the service speaks.

        Raises:
            RemoteMediaError: VERSION_MISMATCH, if its version is not known, or it
                speaks another set than before.
        """
        try:
            found = contract_of(version)
            before = self.contract
            if operation.name == _RECONNECT and before and found.name != before.name:
                raise RemoteMediaError(
                    f"the service speaks the {found.name} contract now, and spoke the "
                    f"{before.name} contract before: call disconnect(), and then "
                    "connect()",
                    error_type=ErrorType.VERSION_MISMATCH,
                )
        except RemoteMediaError as error:
            error.operation, error.address = operation.name, self.address
            raise
        self._speak(found)

    def _warn_of_other_contract(self, version: VersionInfo) -> None:
        """Log where the user chose another set of messages than the service states.

        The user may be right, and otherwise the service finds odd faults in requests.
        """
        try:
            stated = contract_of(version).name
        except RemoteMediaError:
            return
        chosen = self.messages().name
        if version.runtime_version and stated != chosen:
            log.warning(
                "contract=%r was chosen for %s, which states runtime version %.80r, as "
                "services of the %s contract do: leave contract out if calls fail",
                chosen,
                self.address,
                version.runtime_version,
                stated,
            )

    def _speak(self, contract: Contract[Any]) -> None:
        """Make the calls in this set of messages, and as large as its services take."""
        self.contract = contract
        if self._is_send_limit_of_contract:
            self.options = dataclasses.replace(
                self.options, max_send_bytes=contract.max_request_bytes
            )

    def _on_connected(self) -> None:
        """Check the version again, beside the calls, where `connect` does not do it."""
        if self._is_connecting or self.channel is None:
            return
        if self._checking is None or self._checking.done():
            loop = asyncio.get_running_loop()
            self._checking = loop.create_task(self._check_version_again())

    async def _check_version_again(self) -> None:
        """Note whether the service that was connected again can be used."""
        try:
            await self._check_version(self.operation(_RECONNECT, is_idempotent=True))
        except Exception as error:  # noqa: BLE001 - interceptors may raise any type
            # Of other failures, each call says itself.
            if (
                isinstance(error, RemoteMediaError)
                and error.error_type is ErrorType.VERSION_MISMATCH
            ):
                self._mismatch = error.message
        else:
            self._mismatch = None

    def _new_channel(self) -> Channel:
        channel = self._make_channel()
        self._retries = Retries(self.options.retry, channel)
        # The channel must not keep the link alive.
        link = weakref.ref(self)

        def on_connected() -> None:
            if (this := link()) is not None:
                this._on_connected()

        channel.on_connected = on_connected
        return channel


def check_secrecy(
    metadata: Metadata, exposed: str, *, is_fetched: bool = False
) -> None:
    """Check that no token travels in plaintext to another machine.

    Args:
        metadata: what is sent.
        exposed: where it would be sent in plaintext; "" for nowhere.
        is_fetched: whether a function fetches the token.

    Raises:
        ValueError: there is a token, which may be ``authorization`` of the caller's.
    """
    has_token = is_fetched or any(key == AUTHORIZATION for key, _ in metadata)
    if exposed and has_token:
        raise ValueError(
            f"the token would travel to {exposed} in plaintext: pass ssl=True, or "
            "allow_insecure_token=True where the network is safe"
        )
