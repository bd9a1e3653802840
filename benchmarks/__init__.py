"""Programs that measure what the library costs, in processor time, time and memory.

- ``compare``: calls, streams, memory and import, beside other clients.
- ``codec``: construct, encode and decode, beside stock betterproto and upb.
- ``engine``: what the call engine adds to a chunk.
- ``streams``: a thousand live streams at once.
- ``blocking``: the blocking client, beside grpcio's blocking stubs.
- ``latency``: single calls and chunks.
- ``soak``: thousands of calls against ``chaos``, a service that fails at random.

Run one with ``python -m benchmarks.<name>``. They start their servers themselves, with
``processes``, and import nothing from ``tests``.
"""
