"""The client: one connection to a pipeline service, and its three calls."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from ssl import SSLContext
from types import EllipsisType
from typing import TYPE_CHECKING, Generic, Literal, TypedDict, overload

from typing_extensions import TypeVar, Unpack

from remotemedia.client_caller import ClientCaller
from remotemedia.contracts import ContractName, checked_name, contract_named
from remotemedia.errors import from_response
from remotemedia.grpc import (
    DEFAULT_CONNECT_TIMEOUT_S,
    DEFAULT_IDLE_TIMEOUT_S,
    DEFAULT_KEEPALIVE_S,
    DEFAULT_KEEPALIVE_TIMEOUT_S,
    DEFAULT_MAX_RECEIVE_BYTES,
    DEFAULT_MAX_SEND_BYTES,
    DEFAULT_TIMEOUT_S,
    TLS,
    Caller,
    CallOptions,
    Channel,
    ChannelConfig,
    Compression,
    Interceptor,
    Metadata,
    MetadataLike,
    ResponseMetadata,
    RetryPolicy,
    ServiceStub,
    TokenFunction,
    TokenSource,
    authorization,
    check_count,
    check_interceptors,
    deadline_after,
)
from remotemedia.link import Link, check_secrecy
from remotemedia.manifest import ManifestSource
from remotemedia.operation import Operation
from remotemedia.readiness import check_health, until_ready
from remotemedia.record import OnCallEnd
from remotemedia.results import set_request_id
from remotemedia.session import (
    ChunkResults,
    ChunkSource,
    ChunkT_co,
    PipelineStream,
    Source,
)
from remotemedia.v1 import (
    AudioBuffer,
    ChunkResult,
    ExecutionResult,
    ResourceLimits,
    VersionInfo,
)

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from remotemedia import data

DEFAULT_RETRY = RetryPolicy()

StubT = TypeVar("StubT", bound=ServiceStub)
ResultT_co = TypeVar(
    "ResultT_co", bound=ExecutionResult, default=ExecutionResult, covariant=True
)


class ClientOptions(TypedDict, total=False):
    """The keywords of ``RemoteMediaClient`` that mean the same for each contract."""

    ssl: bool | SSLContext | TLS
    token: str | TokenFunction | None
    metadata: MetadataLike | None
    timeout: float | None
    connect_timeout: float | None
    idle_timeout: float | None
    max_send_bytes: int | EllipsisType | None
    max_receive_bytes: int
    compression: Compression
    allow_insecure_token: bool
    retry: RetryPolicy | None
    interceptors: Iterable[Interceptor]
    on_call_end: OnCallEnd | None
    proxy: str | bool
    connections: int
    keepalive: float | None
    keepalive_timeout: float
    wait_for_ready: bool


class RemoteMediaClient(Generic[ResultT_co, ChunkT_co]):
    """A connection to a RemoteMedia pipeline service.

    ::

        async with RemoteMediaClient("localhost:50051", token="…") as client:
            result = await client.execute_pipeline(manifest, {"src": buffer})

    Args:
        address: ``host:port``, ``[v6]:port`` or ``unix:/path``; or a list of them, and
            calls go to each in turn. All addresses of a name are tried.
        contract: which set of messages the service speaks: ``"audio"``, that of October
            2025, or ``"data"``, the one after it. None to go by the version that the
            service states when the client connects. ``"data"`` also says the type of
            the results, those of ``remotemedia.data``.
        ssl: True for TLS with the system's authorities, ``TLS`` for certificate files,
            or an ``SSLContext``, whose ALPN protocols are set to HTTP/2.
        token: bearer token, sent with every call; or a function that returns one, plain
            or async. The function is called for the first call, before the token
            expires if it returns a ``remotemedia.grpc.Token`` that says when, and once
            when the service refuses a call with UNAUTHENTICATED. Over plaintext a token
            is refused to any host but this machine.
        metadata: sent with every call; a call's own is merged into it. Where a token
            is refused, ``authorization`` is, too.
        timeout: seconds that a call may take by default; None for no bound. Of a
            stream it bounds the opening.
        connect_timeout: seconds that connecting may take, TLS included.
        idle_timeout: seconds that a stream may go without a byte from the service or
            a message to it; None for no bound. It is noticed after twice as long at
            the latest.
        max_send_bytes: the largest request; None for no limit; left out, what the
            service takes: 4 MiB on the audio contract, 10 MiB on the data contract.
        max_receive_bytes: the largest response, also when it is expanded.
        compression: how requests are compressed, ``"gzip"`` or ``"identity"`` (not at
            all), unless a call has its own; audio hardly shrinks. The service must
            support it. Compressed responses are taken either way.
        allow_insecure_token: send the token over plaintext to any host.
        retry: when ``get_version``, and executions that are declared ``idempotent``,
            are made again after a failure; None for only when the service certainly
            did not process them.
        interceptors: async functions that run around every call, the first outermost;
            see ``remotemedia.grpc.Interceptor``.
        on_call_end: a function that is told of the end of each call with a
            ``remotemedia.CallRecord``.
        proxy: the URL of an HTTP proxy, as ``http://user:password@host:port``; True for
            what the environment says (``grpc_proxy``, ``https_proxy``, ``http_proxy``,
            ``no_grpc_proxy``, ``no_proxy``); False for none.
        connections: the most connections to each address. Another one is made when
            those that there are have calls in flight.
        keepalive: seconds of silence, while calls are open, after which the service is
            sent a PING; None for no pings.
        keepalive_timeout: seconds that the service then has to send anything. After
            that the connection is closed, and its calls fail.
        wait_for_ready: whether calls wait, within their timeout, where the service
            cannot be reached, instead of failing.

    Raises:
        TypeError: an argument has a wrong type, such as a timeout that is text.
        ValueError: an argument has a value that makes no sense, or the token would
            travel in plaintext.

    Every call raises ``RemoteMediaError``, or one of its two subclasses, where
    it fails.
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

    def __init__(
        self,
        address: str | Sequence[str] = "localhost:50051",
        *,
        contract: ContractName | None = None,
        ssl: bool | SSLContext | TLS = False,
        token: str | TokenFunction | None = None,
        metadata: MetadataLike | None = None,
        timeout: float | None = DEFAULT_TIMEOUT_S,
        connect_timeout: float | None = DEFAULT_CONNECT_TIMEOUT_S,
        idle_timeout: float | None = DEFAULT_IDLE_TIMEOUT_S,
        max_send_bytes: int | EllipsisType | None = ...,
        max_receive_bytes: int = DEFAULT_MAX_RECEIVE_BYTES,
        compression: Compression = "identity",
        allow_insecure_token: bool = False,
        retry: RetryPolicy | None = DEFAULT_RETRY,
        interceptors: Iterable[Interceptor] = (),
        on_call_end: OnCallEnd | None = None,
        proxy: str | bool = True,
        connections: int = 1,
        keepalive: float | None = DEFAULT_KEEPALIVE_S,
        keepalive_timeout: float = DEFAULT_KEEPALIVE_TIMEOUT_S,
        wait_for_ready: bool = False,
    ) -> None:
        channel = ChannelConfig.of(
            address,
            ssl=ssl,
            proxy=proxy,
            connections=connections,
            connect_timeout=connect_timeout,
            keepalive=keepalive,
            keepalive_timeout=keepalive_timeout,
        )
        merged = Metadata.of(metadata)
        if token is not None and not callable(token):
            merged = Metadata((*merged, authorization(token)))
        exposed = "" if allow_insecure_token else channel.exposed
        check_secrecy(merged, exposed, is_fetched=callable(token))
        if on_call_end is not None and (
            not callable(on_call_end) or inspect.iscoroutinefunction(on_call_end)
        ):
            raise TypeError(
                f"on_call_end must be a function that is not async, got "
                f"{on_call_end!r:.80}"
            )
        chosen = checked_name(contract)
        options = CallOptions(
            timeout=timeout,
            idle_timeout=idle_timeout,
            max_send_bytes=(
                DEFAULT_MAX_SEND_BYTES if max_send_bytes is ... else max_send_bytes
            ),
            max_receive_bytes=max_receive_bytes,
            compression=compression,
            interceptors=check_interceptors(interceptors),
            token=TokenSource(token) if callable(token) else None,
            retry=retry,
            wait_for_ready=wait_for_ready,
        )
        self._link = Link(
            str(channel),
            lambda: Channel.from_config(channel),
            options,
            metadata=merged,
            exposed=exposed,
            on_call_end=on_call_end,
            contract=None if chosen is None else contract_named(chosen),
            is_send_limit_of_contract=max_send_bytes is ...,
        )

    @property
    def contract(self) -> ContractName | None:
        """Which set of messages the service speaks; None before that is known."""
        messages = self._link.contract
        return None if messages is None else messages.name

    def __repr__(self) -> str:
        state = "connected" if self._link.channel else "not connected"
        return f"<{type(self).__name__} {self._link.address}, {state}>"

    if not TYPE_CHECKING:
        # Type checkers say it themselves. Python would say that a protocol is not
        # supported, or a method missed.

        def __enter__(self) -> None:
            raise TypeError(
                "this client is asynchronous: write `async with`, or take "
                "remotemedia.blocking.RemoteMediaClient"
            )

        def __exit__(self, *exc_info: object) -> None:
            pass

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
                VERSION_MISMATCH, if it does not speak protocol ``v1``, or it is not
                known which contract its version speaks, and ``contract`` is None.
        """
        await self._link.connect()

    async def disconnect(self) -> None:
        """Close the connection; calls that are under way fail.

        Nothing happens if the client is not connected. In another event loop or
        process than it was connected in, the connection is forgotten, not closed.
        """
        await self._link.disconnect()

    async def wait_until_ready(self, timeout: float | None = DEFAULT_TIMEOUT_S) -> None:
        """Connect, and wait until the service serves.

        A service that has the standard health service (``grpc.health.v1``) is asked
        for its health; another one serves when it answers GetVersion. Until then, both
        are tried again, with backoff.

        Args:
            timeout: in seconds; None to wait without a bound.

        Raises:
            RemoteMediaTimeoutError: the service was not ready in time; the text says
                what was wrong at last.
            RemoteMediaError: it refuses this client: AUTHENTICATION or
                VERSION_MISMATCH, or a certificate was refused.
        """
        # All attempts are one operation, which ends with the waiting.
        operation = self._link.operation(
            "wait_until_ready", is_idempotent=True, is_stream=True
        )

        async def attempt() -> None:
            await self._link.connect(operation)
            with operation:
                await check_health(
                    self._link.caller(operation, is_repeated=False),
                    timeout=self._link.seconds(...),
                    metadata=self._link.metadata(operation, None),
                )

        try:
            await until_ready(attempt, timeout)
        except BaseException as error:
            operation.end(error)
            raise
        operation.end(None)

    async def get_version(
        self,
        *,
        timeout: float | EllipsisType | None = ...,
        metadata: MetadataLike | None = None,
        compression: Compression | None = None,
        response_metadata: ResponseMetadata | None = None,
        wait_for_ready: bool | None = None,
    ) -> VersionInfo:
        """What the service is, and what it can do.

        Args:
            timeout: seconds; None for no bound; left out, the client's.
            metadata: sent with this call, beside the client's.
            compression: how the request is compressed; None for the client's way.
            response_metadata: takes the headers and trailers of the response.
            wait_for_ready: whether to wait, within the timeout, where the service
                cannot be reached; None for what the client does.
        """
        answer = await self._link.version(
            self._link.operation("get_version", is_idempotent=True),
            timeout,
            metadata,
            compression,
            response_metadata,
            wait_for_ready,
        )
        return answer.version_info

    async def execute_pipeline(
        self,
        manifest: ManifestSource,
        audio_inputs: Mapping[str, AudioBuffer] | None = None,
        data_inputs: Mapping[str, object] | None = None,
        *,
        resource_limits: ResourceLimits | None = None,
        idempotent: bool = False,
        timeout: float | EllipsisType | None = ...,
        metadata: MetadataLike | None = None,
        compression: Compression | None = None,
        response_metadata: ResponseMetadata | None = None,
        wait_for_ready: bool | None = None,
    ) -> ResultT_co:
        """Run a pipeline once, from whole inputs to whole outputs.

        Args:
            manifest: the pipeline, as a dict, JSON text, ``PipelineManifest``, or the
                ``pathlib.Path`` of a JSON or YAML file.
            audio_inputs: audio, by the id of the node it goes to.
            data_inputs: data, by the id of the node it goes to. A ``str`` is sent
                as it is, as JSON text; anything else is encoded as JSON. On the data
                contract an array, bytes or a message of ``remotemedia.data`` is sent as
                what it is.
            resource_limits: the most that the execution may use.
            idempotent: whether the service may execute it twice. It is made again then
                as the client's ``retry`` says, and ``retryable`` of an error says so.
            timeout: seconds; None for no bound; left out, the client's.
            metadata: sent with this call, beside the client's.
            compression: how the request is compressed; None for the client's way.
            response_metadata: takes the headers and trailers of the response.
            wait_for_ready: whether to wait, within the timeout, where the service
                cannot be reached; None for what the client does.

        Returns:
            The outputs by node id, metrics and each node's result; its ``request_id``
            is the id of the call.

        Raises:
            RemoteMediaError: the manifest is wrong, an input is for a node that it
                does not have, the request is over ``max_send_bytes``, or the service
                refused or failed.
            TypeError, ValueError: the inputs are not mappings, an audio buffer is not
                valid, a value is not JSON, or another argument makes no sense.
        """
        operation = self._link.operation("execute_pipeline", is_idempotent=idempotent)
        received = response_metadata or ResponseMetadata()

        def check(response: object) -> None:
            error = messages.error_of(response)
            if error is not None:
                raise from_response(
                    error, headers=received.headers, trailers=received.trailers
                )

        with operation:
            messages = self._link.messages()
            operation.other_contract = messages.other
            request = messages.execute_request(
                manifest, audio_inputs, data_inputs, resource_limits
            )
            caller = self._link.caller(
                operation, wait_for_ready=wait_for_ready, check=check
            )
            response = await messages.execution_stub._over(caller).execute_pipeline(
                request,
                timeout=self._link.seconds(timeout, messages.max_execution_s),
                metadata=self._link.metadata(operation, metadata),
                compression=compression,
                response_metadata=received,
            )
            result: ResultT_co = messages.result_of(response)
            set_request_id(result, operation.request_id)
            return result

    def stream_pipeline(
        self,
        manifest: ManifestSource,
        audio_chunks: ChunkSource,
        data_inputs: Mapping[str, object] | None = None,
        *,
        expected_chunk_size: int = 0,
        resource_limits: ResourceLimits | None = None,
        timeout: float | None = None,
        metadata: MetadataLike | None = None,
        compression: Compression | None = None,
        max_in_flight_chunks: int | None = None,
        wait_for_ready: bool | None = None,
    ) -> ChunkResults[ChunkT_co]:
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
                or ``(node_id, buffer, sequence)``. On the data contract the buffer may
                be any other value as well. It is first asked for audio when the
                service is ready. A plain iterable may block: it is iterated in a
                thread of its own.
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
            wait_for_ready: whether opening waits, within the client's timeout, where
                the service cannot be reached; None for what the client does.

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
            wait_for_ready=wait_for_ready,
        )
        return ChunkResults(stream)

    def open_stream(
        self,
        manifest: ManifestSource,
        audio_chunks: ChunkSource | None = None,
        data_inputs: Mapping[str, object] | None = None,
        *,
        expected_chunk_size: int = 0,
        resource_limits: ResourceLimits | None = None,
        timeout: float | None = None,
        metadata: MetadataLike | None = None,
        compression: Compression | None = None,
        max_buffered_chunks: int = 16,
        max_in_flight_chunks: int | None = None,
        wait_for_ready: bool | None = None,
    ) -> PipelineStream[ChunkT_co]:
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
            wait_for_ready: see ``stream_pipeline``.

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
            wait_for_ready=wait_for_ready,
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
        wait_for_ready: bool | None,
    ) -> PipelineStream[ChunkT_co]:
        operation = self._link.operation(name, is_stream=True)
        with operation:
            check_count("expected_chunk_size", expected_chunk_size, least=0)
            check_count("max_buffered_chunks", max_buffered_chunks)
            if max_in_flight_chunks is not None:
                check_count("max_in_flight_chunks", max_in_flight_chunks)
            messages = self._link.messages()
            operation.other_contract = messages.other
            checked = messages.manifest(manifest)
            init = messages.init_request(
                checked, data_inputs, expected_chunk_size, resource_limits
            )
            return PipelineStream(
                self._link.caller(
                    operation, compression=compression, wait_for_ready=wait_for_ready
                ),
                messages,
                init,
                [node.id for node in checked.nodes],
                operation=operation,
                open_timeout=self._link.options.timeout,
                deadline=deadline_after(timeout),
                metadata=self._link.metadata(operation, metadata),
                source=source,
                max_buffered_chunks=max_buffered_chunks,
                max_in_flight_chunks=max_in_flight_chunks,
                max_send_bytes=self._link.options.max_send_bytes,
                is_token_renewable=self._link.options.token is not None,
            )

    def stub(self, cls: type[StubT], *, idempotent: bool = False) -> StubT:
        """A generated stub of any service, over this client's connection.

        Its calls have what the client's own calls have: the token, the metadata, the
        limits and interceptors, a request id, a record for the log, and
        ``RemoteMediaError`` for every failure::

            greeter = client.stub(GreeterStub)
            reply = await greeter.say_hello(HelloRequest(name="you"))

        The stub may be made before the client is connected, and used after it has
        connected again.

        Args:
            cls: the class that ``python -m codegen`` generated.
            idempotent: whether calls with one request and one response may be
                processed twice. They are made again then as ``retry`` says.

        Raises:
            TypeError: it is not the class of a generated stub.
        """
        if not (isinstance(cls, type) and issubclass(cls, ServiceStub)):
            raise TypeError(
                f"cls must be the class of a generated stub, got {cls!r:.80}"
            )

        def begin(
            name: str, metadata: MetadataLike | None, is_stream: bool
        ) -> tuple[Operation, Caller, Metadata]:
            operation = self._link.operation(
                name, is_idempotent=idempotent, is_stream=is_stream
            )
            with operation:
                caller = self._link.caller(operation)
            return operation, caller, self._link.metadata(operation, metadata)

        return cls._over(ClientCaller(begin))
