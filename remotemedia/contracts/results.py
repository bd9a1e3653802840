"""The results of the data contract, as a user sees them.

They are the results of the audio contract and more: what that one can say, audio and
JSON, is where its users look for it, and the methods here give the rest. ``message`` is
what the service sent. Nothing is copied: samples and arrays share its memory.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from remotemedia import data_v1, v1
from remotemedia.contracts.values import error_of, from_wire_audio, recast
from remotemedia.results import parsed

if TYPE_CHECKING:
    import numpy.typing as npt

MessageT = TypeVar("MessageT", data_v1.ExecutionResult, data_v1.ChunkResult)

# What to call a field of a `DataBuffer` in a text for a user.
_NOUNS = {"numpy": "array", "tensor": "array", "json": "JSON", "": "empty"}


class DataOutputs(Generic[MessageT]):
    """What both kinds of results have in common: outputs of the data contract, by name.

    Two of them are equal if the service sent the same.
    """

    if TYPE_CHECKING:
        message: MessageT
        audio_outputs: dict[str, v1.AudioBuffer]
        data_outputs: dict[str, str]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and self.message == other.message

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.message,)

    @classmethod
    def FromString(cls, data: bytes) -> NoReturn:  # noqa: N802 - protobuf's name
        """Results are made of messages, and not decoded.

        Raises:
            TypeError: always.
        """
        raise TypeError(
            f"a {cls.__name__} of the data contract is made of a message: decode "
            f"remotemedia.data_v1.{cls.__name__}, and pass it to {cls.__name__}"
        )

    @property
    def outputs(self) -> Mapping[str, data_v1.DataBuffer]:
        """All outputs as the service sent them, by name."""
        return self.message.data_outputs

    def audio(self, name: str | None = None) -> v1.AudioBuffer:
        """Return an audio output; its samples share memory with what was received.

        Args:
            name: the name of the output; None for the only one of its kind.

        Raises:
            KeyError: there is no such output, or `name` is None and there are several;
                the message lists the existing ones.
        """
        return self.audio_outputs[self._name("audio", self.audio_outputs, name)]

    def json(self, name: str | None = None) -> Any:
        """Decode a JSON output, or the JSON that an audio output has with it.

        The arguments and errors are those of ``audio``.

        Raises:
            ValueError: the output is not JSON.
        """
        name = self._name("JSON", self.data_outputs, name)
        return parsed(self.data_outputs[name])

    def text(self, name: str | None = None) -> str:
        """Return a text output; the arguments and errors are those of ``audio``.

        Raises:
            ValueError: it is not text in the encoding that it states.
        """
        return self._output(("text",), name).text.text

    def array(self, name: str | None = None) -> npt.NDArray[Any]:
        """Return an array or a tensor, read-only; it shares memory with the message.

        The arguments and errors are those of ``audio``.

        Raises:
            ValueError: its shape or type does not fit its bytes.
        """
        buffer = self._output(("numpy", "tensor"), name)
        if buffer.which_oneof("data_type") == "numpy":
            return buffer.numpy.to_numpy()
        return buffer.tensor.to_numpy()

    def video(self, name: str | None = None) -> data_v1.VideoFrame:
        """Return a frame of video; ``to_numpy`` of it gives the pixels.

        The arguments and errors are those of ``audio``.
        """
        return self._output(("video",), name).video

    def binary(self, name: str | None = None) -> data_v1.BinaryBuffer:
        """Return bytes with their MIME type; as ``audio``."""
        return self._output(("binary",), name).binary

    def file(self, name: str | None = None) -> data_v1.FileBuffer:
        """Return a reference to a file; as ``audio``."""
        return self._output(("file",), name).file

    def __bool__(self) -> bool:
        """Whether the service sent anything."""
        return bool(self.message)

    def __repr__(self) -> str:
        """Show all that the service sent."""
        return repr(self.message)

    def _output(self, kinds: tuple[str, ...], name: str | None) -> data_v1.DataBuffer:
        fitting = [name for name, kind in self._kinds().items() if kind in kinds]
        return self.outputs[self._name(_noun(kinds[0]), fitting, name)]

    def _name(self, noun: str, fitting: Collection[str], name: str | None) -> str:
        """The name of an output, of those that fit.

        Raises:
            KeyError: there is none, or no name and several fit.
        """
        if name is None and len(fitting) == 1:
            return next(iter(fitting))
        if name is not None and name in fitting:
            return name
        if name is None and fitting:
            names = ", ".join(map(repr, sorted(fitting)))
            raise KeyError(f"there are several {noun} outputs, so name one of {names}")
        there = ", ".join(
            f"{key!r} ({_noun(kind)})" for key, kind in sorted(self._kinds().items())
        )
        missing = f"no {noun} output" + ("" if name is None else f" {name!r}")
        raise KeyError(f"{missing}; there are: {there or 'none'}")

    def _kinds(self) -> dict[str, str]:
        """The kind of each output, by name; it is "" for an empty one."""
        return {
            name: buffer.which_oneof("data_type")
            for name, buffer in self.outputs.items()
        }


class ExecutionResult(DataOutputs[data_v1.ExecutionResult], v1.ExecutionResult):
    """What a pipeline gave back, on the data contract.

    Attributes:
        message: what the service sent.
    """

    # betterproto would look for the types of the fields in this module.
    _betterproto = v1.ExecutionResult._betterproto

    def __init__(self, message: data_v1.ExecutionResult) -> None:
        super().__init__(
            **_known_outputs(message.data_outputs),
            metrics=recast(message.metrics, v1.ExecutionMetrics),
            node_results=[_node_result(each) for each in message.node_results],
            status=v1.ExecutionStatus.try_value(message.status),
        )
        self._values["message"] = message


class ChunkResult(DataOutputs[data_v1.ChunkResult], v1.ChunkResult):
    """What a pipeline made of one chunk, on the data contract.

    Attributes:
        message: what the service sent.
    """

    _betterproto = v1.ChunkResult._betterproto

    def __init__(self, message: data_v1.ChunkResult) -> None:
        super().__init__(
            sequence=message.sequence,
            **_known_outputs(message.data_outputs),
            processing_time_ms=message.processing_time_ms,
            total_samples_processed=message.total_items_processed,
        )
        self._values["message"] = message


def _node_result(result: data_v1.NodeResult) -> v1.NodeResult:
    found = recast(result, v1.NodeResult)
    if result.is_set("error"):
        found.error = error_of(result.error)
    return found


def _known_outputs(outputs: Mapping[str, data_v1.DataBuffer]) -> dict[str, Any]:
    """What the audio contract knows of the outputs: its fields for audio and data."""
    audio: dict[str, v1.AudioBuffer] = {}
    data: dict[str, str] = {}
    for name, buffer in outputs.items():
        kind = buffer.which_oneof("data_type")
        if kind == "audio":
            audio[name] = from_wire_audio(buffer.audio)
            beside = buffer.audio.metadata_json
            if beside is not None:
                data[name] = beside.decode(errors="replace")
        elif kind == "json":
            data[name] = buffer.json.json_payload
    return {"audio_outputs": audio, "data_outputs": data}


def _noun(kind: str) -> str:
    return _NOUNS.get(kind, kind)
