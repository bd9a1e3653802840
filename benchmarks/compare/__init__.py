"""Compare our client with grpc.aio and stock betterproto, against one server.

``__main__`` runs the ``scenarios``: it starts the servers and one ``worker`` for each
of the ``clients`` (``processes``), collects the ``results``, and writes them as a
``report`` and a ``chart``.
"""
