"""A complete pipeline service for tests: :class:`LocalService`.

The service runs in the process of the test, on a real socket, and behaves as the
contract says. A test gives it nodes of its own, and tells it with :class:`Fault` what
is to go wrong. ``python -m remotemedia.testing`` runs the same service as a program.

This package knows the contract: the generated messages, the rules of manifests and of
sessions, and the table of errors. It stands on grpclib's server, whose private names it
uses only through ``remotemedia.http2.compat``. It must not know the client: it imports
neither the client's calls nor its connections, which are tested against this service.
"""

from remotemedia.testing.faults import Fault
from remotemedia.testing.node import (
    Node,
    NodeCall,
    NodeOutput,
    NodeReturn,
    Parameter,
)
from remotemedia.testing.service import LocalService
from remotemedia.values import Json

__all__ = [
    "Fault",
    "Json",
    "LocalService",
    "Node",
    "NodeCall",
    "NodeOutput",
    "NodeReturn",
    "Parameter",
]
