"""The client for programs that do not use asyncio: the same methods, without ``await``.

::

    from remotemedia.blocking import RemoteMediaClient

    with RemoteMediaClient("localhost:50051") as client:
        result = client.execute_pipeline(manifest, {"src": buffer})
        for chunk in client.stream_pipeline(manifest, chunks()):
            ...

It is for scripts, notebooks, threads and WSGI handlers, and may be used from any number
of threads at once. The asynchronous client does the work, on an event loop in a thread
of its own that all blocking clients of a process share. The classes here only hand
calls over and wait: each method takes its signature from the asynchronous method that
it waits for, so that the two cannot drift apart.

- ``loop``: the background event loop, and waiting for a coroutine on it.
- ``derive``: makes a blocking method of an asynchronous one.
- ``client``, ``stream`` and ``stub``: the classes that users see.
"""

from remotemedia.blocking.client import RemoteMediaClient
from remotemedia.blocking.stream import ChunkResults, PipelineStream, Responses
from remotemedia.blocking.stub import Stub

__all__ = ["ChunkResults", "PipelineStream", "RemoteMediaClient", "Responses", "Stub"]
