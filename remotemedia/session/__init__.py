"""One bidirectional session with a pipeline service.

This package handles the contract's rules of a session, and how the client keeps to
them: opening, sending chunks from an iterable or one by one, reading results, ending.
It uses the generated stub for the call, and must not know connections.

- ``machine``: the rules as a table, without I/O, for both ends.
- ``stream``: the client's end over a call, and ``sender`` its sending half.
- ``actions``: what each method does in each state.
- ``messages``: what a session needs of a set of messages.
- ``source``: the caller's iterable of chunks.
- ``outbox``: the chunks that wait to be sent.
- ``validation``: checks of what is sent.
- ``chunk_results``: what ``stream_pipeline`` returns.

It is private; ``PipelineStream`` and ``ChunkResults`` are exported by ``remotemedia``.
"""

from remotemedia.session.chunk_results import ChunkResults
from remotemedia.session.machine import Event, Session, State
from remotemedia.session.messages import Payload, StreamMessages
from remotemedia.session.source import ChunkLike, ChunkSource, Source, ThreadIterator
from remotemedia.session.stream import ChunkT_co, PipelineStream
from remotemedia.session.validation import check_audio, check_node_id

__all__ = [
    "ChunkLike",
    "ChunkResults",
    "ChunkSource",
    "ChunkT_co",
    "Event",
    "Payload",
    "PipelineStream",
    "Session",
    "Source",
    "State",
    "StreamMessages",
    "ThreadIterator",
    "check_audio",
    "check_node_id",
]
