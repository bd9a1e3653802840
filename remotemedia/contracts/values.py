"""Values of the data contract: what a user gives for one, and what it comes back as.

A value travels as a ``DataBuffer``, which holds one of nine kinds. Audio is the
``AudioBuffer`` of both contracts here; the other kinds are the generated messages, or
what Python has for them: an array, text, bytes, or anything that is JSON.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar

import betterproto

from remotemedia.data_v1 import AudioBuffer as WireAudio
from remotemedia.data_v1 import AudioFormat as WireFormat
from remotemedia.data_v1 import (
    BinaryBuffer,
    ControlMessage,
    DataBuffer,
    FileBuffer,
    JsonData,
    NumpyBuffer,
    TensorBuffer,
    TextBuffer,
    VideoFrame,
)
from remotemedia.data_v1 import ErrorResponse as WireError
from remotemedia.data_v1 import ErrorType as WireErrorType
from remotemedia.manifest import to_json_text
from remotemedia.v1 import AudioBuffer, AudioFormat, ErrorResponse, ErrorType

if TYPE_CHECKING:
    import numpy.typing as npt

MessageT = TypeVar("MessageT", bound=betterproto.Message)

_FORMATS = {
    AudioFormat.F32: WireFormat.F32,
    AudioFormat.I16: WireFormat.I16,
    AudioFormat.I32: WireFormat.I32,
}

# Kinds of failure that only this set has.
_ERROR_TYPES = {WireErrorType.TYPE_VALIDATION: ErrorType.VALIDATION}

# The field of a `DataBuffer` for each class of message.
_FIELDS: dict[type[Any], str] = {
    WireAudio: "audio",
    VideoFrame: "video",
    TensorBuffer: "tensor",
    JsonData: "json",
    TextBuffer: "text",
    BinaryBuffer: "binary",
    ControlMessage: "control",
    NumpyBuffer: "numpy",
    FileBuffer: "file",
}

_KINDS = (
    "an AudioBuffer, an array, a VideoFrame, a TensorBuffer, text, bytes, a value that "
    "JSON can say, a BinaryBuffer or a FileBuffer"
)


def to_buffer(value: object, where: str, *, str_is_json: bool = False) -> DataBuffer:
    """Make what travels of a value, and check it.

    Args:
        value: as ``remotemedia.values.Value`` says. A ``str`` is text.
        where: what it is, for the error.
        str_is_json: take a ``str`` for JSON text instead.

    Raises:
        TypeError: the contract has no such kind of value.
        ValueError: the value is not valid, or JSON cannot say it.
    """
    try:
        if isinstance(value, AudioBuffer):
            value.validate()
            return DataBuffer(audio=to_wire_audio(value))
        if isinstance(value, DataBuffer):
            return _checked(value)
        field = _FIELDS.get(type(value))
        if field is not None:
            buffer = DataBuffer()
            setattr(buffer, field, value)
            return _checked(buffer)
        if _is_array(value):
            return DataBuffer(numpy=NumpyBuffer.from_numpy(value))
        if isinstance(value, (bytes, bytearray, memoryview)):
            return DataBuffer(binary=BinaryBuffer(data=bytes(value)))
        if isinstance(value, str) and not str_is_json:
            return DataBuffer(text=TextBuffer.from_text(value))
    except TypeError as error:
        raise TypeError(f"{where}: {error}") from None
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    if isinstance(value, os.PathLike):
        raise TypeError(
            f"{where}: the service cannot see your files. AudioBuffer.from_file "
            "reads audio, path.read_bytes() sends what is in the file, and "
            "FileBuffer(path=…) names a file on the service's machine"
        )
    if not isinstance(value, (*_JSON, type(None))):
        number = ". A number of numpy has .item()" if _is_number(value) else ""
        raise TypeError(
            f"{where} is {type(value).__name__}, which the data contract cannot "
            f"carry; it must be {_KINDS}{number}"
        )
    return DataBuffer(json=JsonData(json_payload=to_json_text(value, where)))


_JSON = (bool, int, float, str, Mapping, list, tuple)


def _checked(buffer: DataBuffer) -> DataBuffer:
    """Check a message of a user's.

    Raises:
        TypeError: the service takes no such kind, or a field has a wrong type.
        ValueError: a field has a wrong value, or what it holds is not valid.
    """
    # Every field has its type, and can be encoded.
    len(buffer)
    kind = buffer.which_oneof("data_type")
    if kind == "":
        raise ValueError("the DataBuffer has no value")
    if kind == "control":
        raise TypeError("the service takes no ControlMessage as data")
    message = getattr(buffer, kind)
    if isinstance(message, (WireAudio, VideoFrame)):
        message.validate()
    elif isinstance(message, (NumpyBuffer, TensorBuffer)):
        message.to_numpy()
    return buffer


def _is_array(value: object) -> TypeGuard[npt.NDArray[Any]]:
    # Who has an array has imported numpy.
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.ndarray)


def _is_number(value: object) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.generic)


def to_wire_audio(buffer: AudioBuffer) -> WireAudio:
    """The same audio as the data contract has it; the samples are shared."""
    return WireAudio(
        samples=buffer.samples,
        sample_rate=buffer.sample_rate,
        channels=buffer.channels,
        format=_FORMATS[buffer.format],
        num_samples=buffer.num_samples,
    )


def from_wire_audio(buffer: WireAudio) -> AudioBuffer:
    """Audio of the data contract as both contracts have it; the samples are shared."""
    return AudioBuffer(
        samples=buffer.samples,
        sample_rate=buffer.sample_rate,
        channels=buffer.channels,
        format=AudioFormat.try_value(buffer.format),
        num_samples=buffer.num_samples,
    )


def recast(message: betterproto.Message, cls: type[MessageT]) -> MessageT:
    """The same message in the class of the other contract.

    What both contracts have in common has the same numbers and types in both. What only
    one has stays, as unknown fields.
    """
    return cls.FromString(bytes(message))


def error_of(error: WireError) -> ErrorResponse:
    """An error as both contracts have it, of a type that the audio contract knows."""
    response = recast(error, ErrorResponse)
    response.error_type = _ERROR_TYPES.get(error.error_type, response.error_type)
    return response
