"""Python client for RemoteMedia pipeline services.

``RemoteMediaClient`` sends a pipeline and audio to a service, and gives audio,
data and metrics back, or raises ``RemoteMediaError``.
"""

# The first import: it fails where another package has files in this folder.
from remotemedia import foreign  # noqa: F401
from remotemedia.client import RemoteMediaClient
from remotemedia.errors import (
    RemoteMediaConnectionError,
    RemoteMediaError,
    RemoteMediaTimeoutError,
)
from remotemedia.grpc import TLS, Metadata, ResponseMetadata
from remotemedia.record import CallRecord
from remotemedia.session import ChunkResults, PipelineStream
from remotemedia.v1 import (
    AudioBuffer,
    AudioFormat,
    ChunkResult,
    Connection,
    ErrorType,
    ExecutionMetrics,
    ExecutionResult,
    ExecutionStatus,
    ManifestMetadata,
    NodeManifest,
    NodeMetrics,
    NodeResult,
    NodeStatus,
    PipelineManifest,
    ResourceLimits,
    RuntimeHint,
    StreamClosed,
    StreamMetrics,
    StreamReady,
    VersionInfo,
)

__all__ = [
    "TLS",
    "AudioBuffer",
    "AudioFormat",
    "CallRecord",
    "ChunkResult",
    "ChunkResults",
    "Connection",
    "ErrorType",
    "ExecutionMetrics",
    "ExecutionResult",
    "ExecutionStatus",
    "ManifestMetadata",
    "Metadata",
    "NodeManifest",
    "NodeMetrics",
    "NodeResult",
    "NodeStatus",
    "PipelineManifest",
    "PipelineStream",
    "RemoteMediaClient",
    "RemoteMediaConnectionError",
    "RemoteMediaError",
    "RemoteMediaTimeoutError",
    "ResourceLimits",
    "ResponseMetadata",
    "RuntimeHint",
    "StreamClosed",
    "StreamMetrics",
    "StreamReady",
    "VersionInfo",
    "__version__",
]

__version__ = "0.1.0"
