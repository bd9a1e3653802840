"""Helpers that several folders of tests share. No test stands here.

- ``calls``: generated stubs without the facade, encoded answers, and whole calls
  against a scripted peer.
- ``core_server``: a pipeline service on grpcio's C core, which shares no line with the
  library.
- ``core_data_server``, ``core_data_nodes``: the service of April 2026, which speaks the
  data contract, on grpcio's C core.
- ``environments``: wheels, and new environments to install them into.
- ``peers``: scripted HTTP/2 peers that may break any rule, and plain TCP peers.
- ``raw``: peers of raw bytes, and what the event loop and the memory go through.
- ``pipelines``: manifests and audio to send.
- ``processes``: the embedded service as a program of its own, and free ports.
- ``waiting``: waiting for a condition, and letting the event loop turn.
"""
