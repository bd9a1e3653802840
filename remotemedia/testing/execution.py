"""Executions of the embedded service: one run of a pipeline for each call.

The messages of a call are the business of the front ends.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Generic, TypeVar

from remotemedia.errors import RemoteMediaError
from remotemedia.manifest import VERSION
from remotemedia.testing.front import PipelineRequest
from remotemedia.testing.limits import in_force
from remotemedia.testing.node import NodeType
from remotemedia.testing.pipeline import Carrier, Outputs, Pipeline
from remotemedia.testing.transport import serialization
from remotemedia.v1 import (
    ErrorType,
    ExecutionMetrics,
    ExecutionStatus,
    NodeResult,
    NodeStatus,
    ResourceLimits,
    VersionInfo,
    VersionResponse,
)

DataT = TypeVar("DataT")


@dataclass(frozen=True)
class Executed(Generic[DataT]):
    """What an execution gave, and what it cost."""

    outputs: Outputs[DataT]
    metrics: ExecutionMetrics
    node_results: list[NodeResult]
    status: ExecutionStatus


class Engine(Generic[DataT]):
    """Makes pipelines of requests, and executes them.

    Args:
        node_types: the node types of the service, by name.
        limits: the service's default limits.
        carrier: what the contract says about data.
    """

    def __init__(
        self,
        node_types: Mapping[str, NodeType],
        limits: ResourceLimits,
        carrier: Carrier[DataT],
    ) -> None:
        self._node_types = node_types
        self._limits = limits
        self._carrier = carrier

    def version(self, client_version: str, runtime_version: str) -> VersionResponse:
        """Describe the service; a client without a version counts as compatible."""
        compatible = client_version in ("", VERSION)
        return VersionResponse(
            version_info=VersionInfo(
                protocol_version=VERSION,
                runtime_version=runtime_version,
                supported_node_types=sorted(self._node_types),
                supported_protocols=[VERSION],
                build_timestamp=_build_timestamp(),
            ),
            compatible=compatible,
            compatibility_message=(
                f"the service speaks {VERSION}"
                if compatible
                else _unsupported(client_version)
            ),
        )

    def pipeline(self, request: PipelineRequest) -> Pipeline[DataT]:
        """Make the pipeline that a client asks for.

        Raises:
            RemoteMediaError: VALIDATION, if the request is wrong; VERSION_MISMATCH, if
                it is of another protocol; NODE_EXECUTION, if a node could not be made.
        """
        if request.client_version not in ("", VERSION):
            raise RemoteMediaError(
                _unsupported(request.client_version),
                error_type=ErrorType.VERSION_MISMATCH,
            )
        return Pipeline(
            request.manifest,
            request.inputs,
            in_force(request.limits, self._limits),
            self._node_types,
            self._carrier,
        )

    async def execute(self, request: PipelineRequest) -> Executed[DataT]:
        """Execute a pipeline.

        Raises:
            RemoteMediaError: the request is wrong, a node failed, or a limit was
                exceeded.
        """
        pipeline = self.pipeline(request)
        outputs = await pipeline.run({})
        return Executed(
            outputs,
            # Without the time to encode the result, which is not known yet.
            pipeline.metrics(serialization.get().seconds),
            [
                NodeResult(node_id=node_id, status=NodeStatus.SUCCESS)
                for node_id in pipeline.node_ids
            ],
            ExecutionStatus.SUCCESS,
        )


def _unsupported(client_version: str) -> str:
    """The message for a protocol version that the service does not speak."""
    return f"the client speaks {client_version!r}, and the service {VERSION!r} only"


def _build_timestamp() -> str:
    """The time at which this code was installed, in ISO 8601."""
    # A frozen program may have no file of this module, and in a zip there is only the
    # file of the zip itself.
    code = Path(globals().get("__file__", sys.executable)).absolute()
    found = next(path for path in (code, *code.parents) if path.exists())
    written = found.stat().st_mtime
    return datetime.fromtimestamp(int(written), timezone.utc).isoformat()
