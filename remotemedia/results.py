"""The methods of results: their outputs, and a table of them for notebooks.

The generated messages with the fields ``audio_outputs`` and ``data_outputs`` inherit
from :class:`DataOutputsMixin`. This module imports nothing generated, because the
generated code imports it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from remotemedia import notebook

# Where a message keeps the id of its call, beside its fields.
_REQUEST_ID = "_request_id"

BufferT_co = TypeVar("BufferT_co", covariant=True)
OutputT = TypeVar("OutputT")


class _HasAudio(Protocol[BufferT_co]):
    """A message with audio outputs, which says of which type they are."""

    @property
    def audio_outputs(self) -> Mapping[str, BufferT_co]: ...


class DataOutputsMixin:
    """The methods of messages that have audio and data outputs."""

    if TYPE_CHECKING:
        # The messages narrow the values to AudioBuffer, which cannot be named here.
        audio_outputs: dict[str, Any]
        data_outputs: dict[str, str]

    def audio(self: _HasAudio[BufferT_co], name: str | None = None) -> BufferT_co:
        """Return an audio output.

        Args:
            name: the name of the output; None for the only one, whatever its name.

        Raises:
            KeyError: there is no such output, or `name` is None and there are several;
                the message lists the existing ones.
        """
        return _output(self, "audio", self.audio_outputs, name)

    def json(self, name: str | None = None) -> Any:
        """Decode a data output from its JSON text.

        Args:
            name: the name of the output, which is the id of the node it comes from;
                None for the only one.

        Returns:
            The value that ``json.loads`` makes of the text.

        Raises:
            KeyError: there is no such output, or `name` is None and there are several;
                the message lists the existing ones.
            ValueError: the output is not JSON.
        """
        return parsed(_output(self, "data", self.data_outputs, name))

    def _repr_html_(self) -> str:
        """Show the metrics and the outputs as a table in a notebook."""
        return notebook.table(self)


class ExecutionResultMixin(DataOutputsMixin):
    """The methods of the result of an execution."""

    @property
    def request_id(self) -> str:
        """The id of the call that returned this result; "" if there was none.

        It is not a field of the message, so it is neither compared nor encoded.
        """
        return str(vars(self).get(_REQUEST_ID, ""))


def set_request_id(result: ExecutionResultMixin, request_id: str) -> None:
    """Note which call returned a result."""
    vars(result)[_REQUEST_ID] = request_id


def parsed(text: str) -> Any:
    """The value of an output's JSON text.

    Raises:
        ValueError: it is not JSON, or nested too deeply for Python.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None


def _output(
    result: Any, kind: str, outputs: Mapping[str, OutputT], name: str | None
) -> OutputT:
    """The output of a name, or the only one."""
    if name is None and len(outputs) == 1:
        (output,) = outputs.values()
        return output
    if name is not None and name in outputs:
        return outputs[name]
    if name is None and outputs:
        names = _listed(outputs)
        raise KeyError(f"there are several {kind} outputs, so name one of {names}")
    raise KeyError(_missing(result, kind, name))


def _missing(result: Any, kind: str, name: str | None) -> str:
    """Say that an output is not there, and what is there instead."""
    outputs = {"audio": result.audio_outputs, "data": result.data_outputs}
    text = f"no {kind} output" + ("" if name is None else f" {name!r}")
    text += f"; there are: {_listed(outputs.pop(kind))}"
    ((other_kind, others),) = outputs.items()
    if others:
        return f"{text} ({other_kind} outputs: {_listed(others)})"
    if not (result.audio_outputs or result.data_outputs):
        # The service of October 2025 returns none from any execution.
        text += (
            ". A service may return no outputs from an execution, or none yet for a "
            "chunk"
        )
    return text


def _listed(names: Mapping[str, object]) -> str:
    return ", ".join(map(repr, sorted(names))) or "none"
