"""What ``stream_pipeline`` returns: the results of a stream, as one iteration."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Generic

from remotemedia.session.stream import ChunkT_co, PipelineStream

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from remotemedia.grpc import Metadata


class ChunkResults(AsyncGenerator[ChunkT_co, None], Generic[ChunkT_co]):
    """The results of a stream: an asynchronous generator of them.

    The session opens when the first result is asked for. It ends with the iteration;
    with ``aclose()``; when the last reference to this object is dropped, as ``break``
    does with a loop over the call itself; and when its context is left::

        async with client.stream_pipeline(manifest, chunks()) as results:
            async for chunk in results:
                if enough(chunk):
                    break
    """

    def __init__(self, stream: PipelineStream[ChunkT_co]) -> None:
        self._stream = stream
        self._is_begun = False
        self._is_over = False

    @property
    def request_id(self) -> str:
        """The id of the call, which the service received as ``x-request-id``."""
        return self._stream.request_id

    @property
    def headers(self) -> Metadata:
        """The metadata of the response headers; empty before the session is open."""
        return self._stream.headers

    @property
    def trailers(self) -> Metadata:
        """The metadata of the trailers, which end the call; empty before that."""
        return self._stream.trailers

    async def __anext__(self) -> ChunkT_co:
        """The next result.

        Raises:
            StopAsyncIteration: the session is over.
            RemoteMediaError: the session failed, after what came before was delivered.
            BaseException: what ``audio_chunks`` raised, unchanged.
        """
        if self._is_over:
            raise StopAsyncIteration
        try:
            if not self._is_begun:
                self._is_begun = True
                await self._stream.__aenter__()
            return await self._stream.__anext__()
        except StopAsyncIteration:
            self._is_over = True
            await self._stream.__aexit__(None, None, None)
            raise
        except BaseException:
            self._is_over = True
            await self._stream.__aexit__(*sys.exc_info())
            raise

    async def aclose(self) -> None:
        """End the session at once, and close ``audio_chunks`` if it is a generator."""
        if not self._is_over:
            self._is_over = True
            if self._is_begun:
                reason = GeneratorExit()
                await self._stream.__aexit__(GeneratorExit, reason, None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def asend(self, value: None) -> ChunkT_co:
        """As ``__anext__``; the value is ignored."""
        return await self.__anext__()

    async def athrow(
        self,
        typ: type[BaseException] | BaseException,
        val: object = None,
        tb: TracebackType | None = None,
    ) -> ChunkT_co:
        """End the session, and raise the exception."""
        await self.aclose()
        raise typ

    def __del__(self) -> None:
        # Garbage may be collected in any thread.
        if self._is_begun and not self._is_over:
            self._stream.reset_from_any_thread()
