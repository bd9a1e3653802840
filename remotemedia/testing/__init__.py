"""A pipeline service for tests, in the same process: :class:`LocalService`.

``python -m remotemedia.testing`` runs it alone.
"""

from remotemedia.testing.faults import Fault
from remotemedia.testing.node import Json, Node, NodeCall, NodeOutput, NodeReturn
from remotemedia.testing.service import LocalService

__all__ = [
    "Fault",
    "Json",
    "LocalService",
    "Node",
    "NodeCall",
    "NodeOutput",
    "NodeReturn",
]
