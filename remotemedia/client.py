"""The client: one connection to a pipeline service, and its three calls."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from ssl import SSLContext
from types import EllipsisType
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakKeyDictionary

from remotemedia.errors import (
    RemoteMediaConnectionError,
    RemoteMediaError,
    from_response,
)
from remotemedia.grpc import (
    DEFAULT_CONNECT_TIMEOUT_S,
    DEFAULT_IDLE_TIMEOUT_S,
    DEFAULT_MAX_RECEIVE_BYTES,
    DEFAULT_MAX_SEND_BYTES,
    DEFAULT_TIMEOUT_S,
    Address,
    Channel,
    Compression,
    Metadata,
    MetadataLike,
    ResponseMetadata,
    ServiceStub,
    authorization,
    check_compression,
    check_count,
    check_seconds,
    deadline_after,
    tls_context,
)
from remotemedia.manifest import ManifestSource, to_json_text, to_manifest
from remotemedia.operation import Operation
from remotemedia.session import (
    AudioChunkSource,
    ChunkResults,
    PipelineStream,
    Source,
    check_audio,
    check_node_id,
)
from remotemedia.v1 import (
    AudioBuffer,
    ErrorType,
    ExecuteRequest,
    ExecutionResult,
    PipelineExecutionServiceStub,
    PipelineManifest,
    ResourceLimits,
    StreamingPipelineServiceStub,
    StreamInit,
    VersionInfo,
    VersionRequest,
    VersionResponse,
)

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

PROTOCOL_VERSION = "v1"
REQUEST_ID = "x-request-id"
"""The metadata key that carries the id of a call."""

StubT = TypeVar("StubT", bound=ServiceStub)
T = TypeVar("T")


class RemoteMediaClient:
    """A connection to a RemoteMedia pipeline service.

    ::

        async with RemoteMediaClient("localhost:50051", token="…") as client:
            result = await client.execute_pipeline(manifest, {"src": buffer})

    Args:
        address: ``host:port``, ``[v6]:port`` or ``unix:/path``.
        ssl: True for TLS with the system's authorities, or an ``SSLContext``;
            its ALPN protocols are set to HTTP/2.
        token: bearer token, sent with every call. Over plaintext it is refused
            to any host but this machine.
        metadata: sent with every call; a call's own is merged into it.
        timeout: seconds that a call may take by default; None for no bound. Of a
            stream it bounds the opening.
        connect_timeout: seconds that connecting may take, TLS included.
        idle_timeout: seconds that a stream may go without a byte from the service or
            a message to it; None for no bound. It is noticed after twice as long at
            the latest.
        max_send_bytes: the largest request. The default is what the service
            takes; None for no limit.
        max_receive_bytes: the largest response, also when it is expanded.
        compression: how requests are compressed, ``"gzip"`` or ``"identity"`` (not at
            all), unless a call has its own; audio hardly shrinks. The service must
            support it. Compressed responses are taken either way.
        allow_insecure_token: send the token over plaintext to any host.

    Raises:
        TypeError: an argument has a wrong type, such as a timeout that is text.
        ValueError: an argument has a value that makes no sense, or the token would
            travel in plaintext.

    Every call raises ``RemoteMediaError``, or one of its two subclasses, where
    it fails.
    """

    def __init__(
        self,
        address: str = "localhost:50051",
        *,
        ssl: bool | SSLContext = False,
        token: str | None = None,
        metadata: MetadataLike | None = None,
        timeout: float | None = DEFAULT_TIMEOUT_S,
        connect_timeout: float | None = DEFAULT_CONNECT_TIMEOUT_S,
        idle_timeout: float | None = DEFAULT_IDLE_TIMEOUT_S,
        max_send_bytes: int | None = DEFAULT_MAX_SEND_BYTES,
        max_receive_bytes: int = DEFAULT_MAX_RECEIVE_BYTES,
        compression: Compression = "identity",
        allow_insecure_token: bool = False,
    ) -> None:
        self._address = Address.parse(address)
        self._ssl = tls_context(ssl)
        for name, seconds in (
            ("timeout", timeout),
            ("connect_timeout", connect_timeout),
            ("idle_timeout", idle_timeout),
        ):
            check_seconds(name, seconds)
        if max_send_bytes is not None:
            check_count("max_send_bytes", max_send_bytes)
        check_count("max_receive_bytes", max_receive_bytes)
        check_compression(compression)
        self._metadata = Metadata.of(metadata)
        if token is not None:
            if not (self._ssl or self._address.is_local or allow_insecure_token):
                raise ValueError(
                    f"the token would travel to {self._address} in plaintext: pass "
                    "ssl=True, or allow_insecure_token=True where the network is safe"
                )
            self._metadata = Metadata((*self._metadata, authorization(token)))
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        self._idle_timeout = idle_timeout
        self._max_send_bytes = max_send_bytes
        self._max_receive_bytes = max_receive_bytes
        self._compression: Compression = compression
        self._channel: Channel | None = None
        # A lock belongs to one event loop; a client may be used in several in turn.
        self._connecting: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock]
        self._connecting = WeakKeyDictionary()

    def __repr__(self) -> str:
        state = "connected" if self._channel else "not connected"
        return f"<{type(self).__name__} {self._address}, {state}>"

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.disconnect()

    async def connect(self) -> None:
        """Connect, and check that the service speaks this client's version.

        Nothing happens if the client is connected.

        Raises:
            RemoteMediaConnectionError: the service cannot be reached.
            RemoteMediaTimeoutError: it did not answer within ``timeout``.
            RemoteMediaError: AUTHENTICATION, if it refused the token;
                VERSION_MISMATCH, if it does not speak protocol ``v1``.
        """
        loop = asyncio.get_running_loop()
        async with self._connecting.setdefault(loop, asyncio.Lock()):
            if self._channel is not None:
                if self._channel.is_usable_here:
                    return
                self._channel.abandon()
            self._channel = self._new_channel()
            try:
                answer = await self._version("connect", self._timeout)
                if not answer.compatible:
                    raise RemoteMediaError(
                        answer.compatibility_message
                        or f"the service does not speak protocol {PROTOCOL_VERSION}",
                        error_type=ErrorType.VERSION_MISMATCH,
                        operation="connect",
                        address=str(self._address),
                    )
            except BaseException:
                await self.disconnect()
                raise

    async def disconnect(self) -> None:
        """Close the connection; calls that are under way fail.

        Nothing happens if the client is not connected. In another event loop or
        process than it was connected in, the connection is forgotten, not closed.
        """
        channel, self._channel = self._channel, None
        if channel is None:
            return
        if channel.is_usable_here:
            channel.close()
            await channel.wait_closed()
        else:
            channel.abandon()

    async def get_version(
        self,
        *,
        timeout: float | EllipsisType | None = ...,
        metadata: MetadataLike | None = None,
        compression: Compression | None = None,
        response_metadata: ResponseMetadata | None = None,
    ) -> VersionInfo:
        """What the service is, and what it can do.

        Args:
            timeout: seconds; None for no bound; left out, the client's.
            metadata: sent with this call, beside the client's.
            compression: how the request is compressed; None for the client's way.
            response_metadata: takes the headers and trailers of the response.
        """
        answer = await self._version(
            "get_version", timeout, metadata, compression, response_metadata
        )
        return answer.version_info

    async def execute_pipeline(
        self,
        manifest: ManifestSource,
        audio_inputs: Mapping[str, AudioBuffer] | None = None,
        data_inputs: Mapping[str, object] | None = None,
        *,
        resource_limits: ResourceLimits | None = None,
        timeout: float | EllipsisType | None = ...,
        metadata: MetadataLike | None = None,
        compression: Compression | None = None,
        response_metadata: ResponseMetadata | None = None,
    ) -> ExecutionResult:
        """Run a pipeline once, from whole inputs to whole outputs.

        Args:
            manifest: the pipeline, as a dict, JSON text, ``PipelineManifest``, or the
                ``pathlib.Path`` of a JSON or YAML file.
            audio_inputs: audio, by the id of the node it goes to.
            data_inputs: data, by the id of the node it goes to. A ``str`` is sent
                as it is, as JSON text; anything else is encoded as JSON.
            resource_limits: the most that the execution may use.
            timeout: seconds; None for no bound; left out, the client's.
            metadata: sent with this call, beside the client's.
            compression: how the request is compressed; None for the client's way.
            response_metadata: takes the headers and trailers of the response.

        Returns:
            The outputs by node id, metrics and each node's result.

        Raises:
            RemoteMediaError: the manifest is wrong, an input is for a node that it
                does not have, the request is over ``max_send_bytes``, or the service
                refused or failed.
            TypeError, ValueError: the inputs are not mappings, an audio buffer is not
                valid, a value is not JSON, or another argument makes no sense.
        """
        operation = Operation("execute_pipeline", str(self._address))
        received = response_metadata or ResponseMetadata()
        with operation:
            checked = to_manifest(manifest)
            request = ExecuteRequest(
                manifest=checked,
                audio_inputs=_audio_inputs(checked, audio_inputs),
                data_inputs=_data_inputs(checked, data_inputs),
                client_version=PROTOCOL_VERSION,
            )
            if resource_limits is not None:
                request.resource_limits = _checked_limits(resource_limits)
            stub = self._stub(PipelineExecutionServiceStub)
            response = await stub.execute_pipeline(
                request,
                timeout=self._seconds(timeout),
                metadata=self._call_metadata(operation, metadata),
                compression=compression,
                response_metadata=received,
            )
            outcome = response.which_oneof("outcome")
            if outcome == "error":
                raise from_response(
                    response.error, headers=received.headers, trailers=received.trailers
                )
            if outcome != "result":
                raise RemoteMediaError(
                    "the service answered with neither a result nor an error",
                    headers=received.headers,
                    trailers=received.trailers,
                )
            return response.result

    def stream_pipeline(
        self,
        manifest: ManifestSource,
        audio_chunks: AudioChunkSource,
        data_inputs: Mapping[str, object] | None = None,
        *,
        expected_chunk_size: int = 0,
        resource_limits: ResourceLimits | None = None,
        timeout: float | None = None,
        metadata: MetadataLike | None = None,
        compression: Compression | None = None,
        max_in_flight_chunks: int | None = None,
    ) -> ChunkResults:
        """Send audio chunk by chunk, and iterate over the results in order.

        ::

            async for chunk in client.stream_pipeline(manifest, chunks()):
                ...

        Leaving the loop ends the session, and closes ``audio_chunks`` if it is a
        generator. (Where the results have a name, use them as a context manager: the
        language keeps an iteration alive for as long as something refers to it.) What
        ``audio_chunks`` raises is raised here at once and unchanged.

        Args:
            manifest: the pipeline, as a dict, JSON text, ``PipelineManifest``, or the
                ``pathlib.Path`` of a JSON or YAML file.
            audio_chunks: an asynchronous or plain iterable of ``(node_id, buffer)``
                or ``(node_id, buffer, sequence)``. It is first asked for audio
                when the service is ready. A plain iterable may block: it is iterated
                in a thread of its own.
            data_inputs: data, by the id of the node it goes to. A ``str`` is sent
                as it is, as JSON text; anything else is encoded as JSON.
            expected_chunk_size: samples over all channels that a chunk will have,
                for the service to prepare; 0 to leave it open.
            resource_limits: the most that the session may use.
            timeout: seconds that the whole session may take; None for no bound.
                Opening is bounded by the client's timeout all the same.
            metadata: sent with this call, beside the client's.
            compression: how requests are compressed; None for the client's way.
            max_in_flight_chunks: how many chunks may be sent and not answered yet;
                None for as many as HTTP/2's windows hold, which is seconds of audio.
                A service that answers every chunk is never further behind than that.

        Raises:
            RemoteMediaError: the manifest is wrong, or the session failed. Every
                result that came before is delivered first.
            TypeError, ValueError: ``audio_chunks`` is not iterable, an audio buffer is
                not valid, a value is not JSON, or another argument makes no sense.
        """
        stream = self._open_stream(
            "stream_pipeline",
            manifest,
            Source(audio_chunks),
            data_inputs,
            expected_chunk_size=expected_chunk_size,
            resource_limits=resource_limits,
            timeout=timeout,
            metadata=metadata,
            compression=compression,
            max_in_flight_chunks=max_in_flight_chunks,
        )
        return ChunkResults(stream)

    def open_stream(
        self,
        manifest: ManifestSource,
        audio_chunks: AudioChunkSource | None = None,
        data_inputs: Mapping[str, object] | None = None,
        *,
        expected_chunk_size: int = 0,
        resource_limits: ResourceLimits | None = None,
        timeout: float | None = None,
        metadata: MetadataLike | None = None,
        compression: Compression | None = None,
        max_buffered_chunks: int = 16,
        max_in_flight_chunks: int | None = None,
    ) -> PipelineStream:
        """Open a live session: send audio and read results independently.

        ::

            async with client.open_stream(manifest, microphone()) as stream:
                async for chunk in stream:
                    ...

            async with client.open_stream(manifest) as stream:
                await stream.send("src", buffer)

        Args:
            manifest: the pipeline, as a dict, JSON text, ``PipelineManifest``, or the
                ``pathlib.Path`` of a JSON or YAML file.
            audio_chunks: where the audio comes from; None to ``send`` it.
            data_inputs: data, by node id.
            expected_chunk_size: samples over all channels that a chunk will have.
            resource_limits: the most that the session may use.
            timeout: seconds that the whole session may take; None for no bound.
            metadata: sent with this call, beside the client's.
            compression: how requests are compressed; None for the client's way.
            max_buffered_chunks: how many chunks that were handed to ``send`` may wait
                to be sent; it waits when there are more. They wait for HTTP/2's
                windows, or for answers where ``max_in_flight_chunks`` is reached.
            max_in_flight_chunks: how many chunks may be sent and not answered yet; see
                ``stream_pipeline``. An answer counts when it is read, so read while
                you send.

        Raises:
            RemoteMediaError: the manifest is wrong. What the service says is raised
                when the context is entered.
            TypeError, ValueError: ``audio_chunks`` is not iterable, a value is not
                JSON, or another argument makes no sense.
        """
        return self._open_stream(
            "open_stream",
            manifest,
            None if audio_chunks is None else Source(audio_chunks),
            data_inputs,
            expected_chunk_size=expected_chunk_size,
            resource_limits=resource_limits,
            timeout=timeout,
            metadata=metadata,
            compression=compression,
            max_buffered_chunks=max_buffered_chunks,
            max_in_flight_chunks=max_in_flight_chunks,
        )

    def _open_stream(
        self,
        name: str,
        manifest: ManifestSource,
        source: Source | None,
        data_inputs: Mapping[str, object] | None,
        *,
        expected_chunk_size: int,
        resource_limits: ResourceLimits | None,
        timeout: float | None,
        metadata: MetadataLike | None,
        compression: Compression | None,
        max_buffered_chunks: int = 1,
        max_in_flight_chunks: int | None,
    ) -> PipelineStream:
        operation = Operation(name, str(self._address))
        with operation:
            check_count("expected_chunk_size", expected_chunk_size, least=0)
            check_count("max_buffered_chunks", max_buffered_chunks)
            if max_in_flight_chunks is not None:
                check_count("max_in_flight_chunks", max_in_flight_chunks)
            checked = to_manifest(manifest)
            init = StreamInit(
                manifest=checked,
                data_inputs=_data_inputs(checked, data_inputs),
                client_version=PROTOCOL_VERSION,
                expected_chunk_size=expected_chunk_size,
            )
            if resource_limits is not None:
                init.resource_limits = _checked_limits(resource_limits)
            return PipelineStream(
                self._stub(StreamingPipelineServiceStub, compression),
                init,
                operation=operation,
                open_timeout=self._timeout,
                deadline=deadline_after(timeout),
                metadata=self._call_metadata(operation, metadata),
                source=source,
                max_buffered_chunks=max_buffered_chunks,
                max_in_flight_chunks=max_in_flight_chunks,
            )

    async def _version(
        self,
        name: str,
        timeout: float | EllipsisType | None,
        metadata: MetadataLike | None = None,
        compression: Compression | None = None,
        response_metadata: ResponseMetadata | None = None,
    ) -> VersionResponse:
        operation = Operation(name, str(self._address), is_idempotent=True)
        with operation:
            return await self._stub(PipelineExecutionServiceStub).get_version(
                VersionRequest(client_version=PROTOCOL_VERSION),
                timeout=self._seconds(timeout),
                metadata=self._call_metadata(operation, metadata),
                compression=compression,
                response_metadata=response_metadata,
            )

    def _new_channel(self) -> Channel:
        return Channel(
            self._address,
            ssl=self._ssl or False,
            connect_timeout=self._connect_timeout,
        )

    def _seconds(self, timeout: float | EllipsisType | None) -> float:
        """The bound of a call, as a stub takes it: infinity for none."""
        seconds = self._timeout if timeout is ... else timeout
        return math.inf if seconds is None else seconds

    def _stub(self, cls: type[StubT], compression: Compression | None = None) -> StubT:
        """A stub for calls on the open connection, with all that goes with each."""
        if self._channel is None:
            raise RemoteMediaConnectionError(
                "the client is not connected: use it as `async with "
                "RemoteMediaClient(…) as client`, or await connect() first"
            )
        if self._channel.is_orphan:
            # It was connected in an earlier `asyncio.run`.
            self._channel.abandon()
            self._channel = self._new_channel()
        if not self._channel.is_usable_here:
            raise RemoteMediaConnectionError(
                "the client is connected in another event loop or process: make one "
                "client for each"
            )
        return cls(
            self._channel,
            idle_timeout=self._idle_timeout,
            max_send_bytes=self._max_send_bytes,
            max_receive_bytes=self._max_receive_bytes,
            compression=self._compression if compression is None else compression,
        )

    def _call_metadata(
        self, operation: Operation, metadata: MetadataLike | None
    ) -> Metadata:
        """The client's metadata and a call's own, with the id of the call."""
        merged = self._metadata.merged(metadata)
        for key, value in merged:
            if key == REQUEST_ID:
                # The caller has an id of their own for the call.
                operation.request_id = str(value)
                return merged
        return Metadata((*merged, (REQUEST_ID, operation.request_id)))


def _audio_inputs(
    manifest: PipelineManifest, inputs: Mapping[str, AudioBuffer] | None
) -> dict[str, AudioBuffer]:
    checked = _by_node(manifest, "audio_inputs", inputs)
    for node_id, buffer in checked.items():
        check_audio(buffer, f"audio_inputs[{node_id!r}]")
    return dict(checked)


def _data_inputs(
    manifest: PipelineManifest, inputs: Mapping[str, object] | None
) -> dict[str, str]:
    return {
        node_id: to_json_text(value, f"data_inputs[{node_id!r}]")
        for node_id, value in _by_node(manifest, "data_inputs", inputs).items()
    }


def _by_node(
    manifest: PipelineManifest, name: str, inputs: Mapping[str, T] | None
) -> Mapping[str, T]:
    """Check that inputs are a mapping, and go to nodes of the manifest."""
    if inputs is None:
        return {}
    node_ids = [node.id for node in manifest.nodes]
    if not isinstance(inputs, Mapping):
        raise TypeError(
            f"{name} must be a dict from node ids to inputs, such as "
            f"{{{node_ids[0]!r}: …}}, not {type(inputs).__name__}"
        )
    for node_id in inputs:
        check_node_id(node_id, node_ids, name)
    return inputs


def _checked_limits(limits: ResourceLimits) -> ResourceLimits:
    if not isinstance(limits, ResourceLimits):
        raise TypeError(
            "resource_limits must be a ResourceLimits, such as "
            f"ResourceLimits(max_timeout_ms=1000), not {type(limits).__name__}"
        )
    return limits
