"""The embedded service's unary calls: ``PipelineExecutionService``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path

from grpclib.exceptions import GRPCError

from remotemedia.errors import RemoteMediaError
from remotemedia.manifest import VERSION
from remotemedia.testing.failures import to_status
from remotemedia.testing.limits import in_force
from remotemedia.testing.node import NodeType
from remotemedia.testing.pipeline import Pipeline
from remotemedia.testing.transport import serialization
from remotemedia.v1 import (
    ErrorType,
    ExecuteRequest,
    ExecuteResponse,
    ExecutionResult,
    ExecutionStatus,
    NodeResult,
    NodeStatus,
    PipelineExecutionServiceBase,
    ResourceLimits,
    VersionInfo,
    VersionRequest,
    VersionResponse,
)

RUNTIME_VERSION = "0.2.0"
"""The version of the service whose messages these are, by which clients know them."""


class ExecutionService(PipelineExecutionServiceBase):
    """Describes the service, and executes pipelines."""

    def __init__(
        self, node_types: Mapping[str, NodeType], limits: ResourceLimits
    ) -> None:
        self._node_types = node_types
        self._limits = limits

    async def get_version(self, request: VersionRequest, /) -> VersionResponse:
        """Describe the service; a client without a version counts as compatible."""
        compatible = request.client_version in ("", VERSION)
        return VersionResponse(
            version_info=VersionInfo(
                protocol_version=VERSION,
                runtime_version=RUNTIME_VERSION,
                supported_node_types=sorted(self._node_types),
                supported_protocols=[VERSION],
                build_timestamp=_build_timestamp(),
            ),
            compatible=compatible,
            compatibility_message=(
                f"the service speaks {VERSION}"
                if compatible
                else unsupported(request.client_version)
            ),
        )

    async def execute_pipeline(self, request: ExecuteRequest, /) -> ExecuteResponse:
        """Execute a pipeline; a failure becomes a gRPC status."""
        try:
            return ExecuteResponse(result=await self._execute(request))
        except RemoteMediaError as error:
            raise GRPCError(*to_status(error)) from error

    async def _execute(self, request: ExecuteRequest) -> ExecutionResult:
        if request.client_version:
            check_version(request.client_version)
        pipeline = Pipeline(
            request.manifest,
            request.data_inputs,
            in_force(request.resource_limits, self._limits),
            self._node_types,
        )
        outputs = await pipeline.run(request.audio_inputs)
        return ExecutionResult(
            audio_outputs=outputs.audio,
            data_outputs=outputs.data,
            # Without the time to encode this result, which is not known yet.
            metrics=pipeline.metrics(serialization.get().seconds),
            node_results=[
                NodeResult(node_id=node_id, status=NodeStatus.SUCCESS)
                for node_id in pipeline.node_ids
            ],
            status=ExecutionStatus.SUCCESS,
        )


def check_version(client_version: str) -> None:
    """Check the protocol version that a client speaks.

    Raises:
        RemoteMediaError: VERSION_MISMATCH, if it is not the contract's version.
    """
    if client_version != VERSION:
        raise RemoteMediaError(
            unsupported(client_version), error_type=ErrorType.VERSION_MISMATCH
        )


def unsupported(client_version: str) -> str:
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
