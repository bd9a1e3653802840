"""The data contract: the messages that services speak after October 2025.

``RemoteMediaClient(address, contract="data")`` sends audio and also arrays, tensors,
frames of video, text, JSON, bytes and references to files, and its results give each of
them back::

    import numpy as np
    from remotemedia.data import VideoFrame

    frame = VideoFrame.from_numpy(np.zeros((480, 640, 3), np.uint8))
    async with LocalService(contract="data") as service:
        async with RemoteMediaClient(service.address, contract="data") as client:
            async for chunk in client.stream_pipeline(manifest, [("src", frame)]):
                pixels = chunk.video().to_numpy()

The messages are those of ``remotemedia.data_v1``. Audio is ``remotemedia.AudioBuffer``
on both contracts.
"""

from remotemedia.contracts.results import ChunkResult, ExecutionResult
from remotemedia.data_v1 import (
    BinaryBuffer,
    DataBuffer,
    FileBuffer,
    JsonData,
    NumpyBuffer,
    PixelFormat,
    TensorBuffer,
    TensorDtype,
    TextBuffer,
    VideoCodec,
    VideoFrame,
)
from remotemedia.values import Value

__all__ = [
    "BinaryBuffer",
    "ChunkResult",
    "DataBuffer",
    "ExecutionResult",
    "FileBuffer",
    "JsonData",
    "NumpyBuffer",
    "PixelFormat",
    "TensorBuffer",
    "TensorDtype",
    "TextBuffer",
    "Value",
    "VideoCodec",
    "VideoFrame",
]
