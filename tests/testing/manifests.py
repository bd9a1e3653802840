"""Manifests as messages, said shortly."""

from __future__ import annotations

import json
from itertools import pairwise

from remotemedia.v1 import (
    Connection,
    ManifestMetadata,
    NodeManifest,
    PipelineManifest,
)


def node(node_id: str, node_type: str, **params: object) -> NodeManifest:
    """A node with its parameters."""
    return NodeManifest(id=node_id, node_type=node_type, params=json.dumps(params))


def chain(*nodes: NodeManifest) -> PipelineManifest:
    """Nodes that are connected one after the other."""
    ids = [found.id for found in nodes]
    return graph(*nodes, connections=list(pairwise(ids)))


def graph(*nodes: NodeManifest, connections: list[tuple[str, str]]) -> PipelineManifest:
    """Nodes with the given connections."""
    return PipelineManifest(
        version="v1",
        metadata=ManifestMetadata(name="test"),
        nodes=list(nodes),
        connections=[Connection(from_=a, to=b) for a, b in connections],
    )
