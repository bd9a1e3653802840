"""What may be sent to a pipeline's nodes: checks before anything leaves."""

from __future__ import annotations

import os
from collections.abc import Collection

from remotemedia.errors import RemoteMediaError
from remotemedia.v1 import AudioBuffer, ErrorType


def check_node_id(node_id: str, node_ids: Collection[str], where: str) -> None:
    """Check that input goes to a node of the manifest.

    Args:
        node_id: the id that was given.
        node_ids: the ids that the manifest has.
        where: what the input is, for the error.

    Raises:
        TypeError: the id is not a ``str``.
        RemoteMediaError: VALIDATION, if the manifest has no such node.
    """
    if type(node_id) is str and node_id in node_ids:
        return
    if not isinstance(node_id, str):
        raise TypeError(
            f"{where}: a node id must be a str, not {type(node_id).__name__}"
        )
    raise RemoteMediaError(
        f"{where}: no node {node_id!r} in the manifest; its nodes are "
        + ", ".join(map(repr, node_ids)),
        error_type=ErrorType.VALIDATION,
        failing_node_id=node_id,
    )


def check_audio(buffer: object, where: str) -> AudioBuffer:
    """Check that a value is audio as the contract has it.

    Args:
        buffer: the audio.
        where: what it is, for the error.

    Returns:
        The same buffer.

    Raises:
        TypeError: it is not an ``AudioBuffer``, or its samples are not bytes.
        ValueError: its fields do not fit together.
    """
    if not isinstance(buffer, AudioBuffer):
        is_path = isinstance(buffer, (str, os.PathLike))
        raise TypeError(
            f"{where} is {type(buffer).__name__}, not an AudioBuffer: "
            + (
                "AudioBuffer.from_file reads one from a file"
                if is_path
                else "AudioBuffer.from_numpy makes one of an array"
            )
        )
    try:
        buffer.validate()
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    return buffer
