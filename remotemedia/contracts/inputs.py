"""The inputs of a call, checked before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from remotemedia.manifest import AnyManifest, to_json_text
from remotemedia.session import check_audio, check_node_id
from remotemedia.v1 import AudioBuffer, ResourceLimits

T = TypeVar("T")


def audio_inputs_of(
    manifest: AnyManifest, inputs: Mapping[str, AudioBuffer] | None
) -> dict[str, AudioBuffer]:
    """Check the audio for the nodes of a manifest.

    Raises:
        RemoteMediaError: VALIDATION, if the manifest has no such node.
        TypeError, ValueError: the inputs are not a mapping, or a buffer is not valid.
    """
    return {
        node_id: check_audio(buffer, f"audio_inputs[{node_id!r}]")
        for node_id, buffer in by_node(manifest, "audio_inputs", inputs).items()
    }


def data_inputs_of(
    manifest: AnyManifest, inputs: Mapping[str, object] | None
) -> dict[str, str]:
    """Check the data for the nodes of a manifest, and encode it as JSON.

    Raises:
        RemoteMediaError: VALIDATION, if the manifest has no such node.
        TypeError, ValueError: the inputs are not a mapping, or a value is not JSON.
    """
    checked = by_node(manifest, "data_inputs", inputs)
    for node_id, value in checked.items():
        if isinstance(value, AudioBuffer):
            raise TypeError(
                f"data_inputs[{node_id!r}] is audio, which goes into audio_inputs"
            )
    return {
        node_id: to_json_text(value, f"data_inputs[{node_id!r}]")
        for node_id, value in checked.items()
    }


def by_node(
    manifest: AnyManifest, name: str, inputs: Mapping[str, T] | None
) -> Mapping[str, T]:
    """Check that inputs are a mapping, and go to nodes of the manifest.

    Raises:
        RemoteMediaError: VALIDATION, if the manifest has no such node.
        TypeError: they are not a mapping.
    """
    if inputs is None:
        return {}
    node_ids = [node.id for node in manifest.nodes]
    if not isinstance(inputs, Mapping):
        raise TypeError(
            f"{name} must be a dict from node ids to inputs, such as "
            f"{{{node_ids[0]!r}: …}}, not {type(inputs).__name__}"
        )
    for node_id in inputs:
        check_node_id(node_id, node_ids, name)
    return inputs


def checked_limits(limits: ResourceLimits) -> ResourceLimits:
    """Check the resource limits of a call.

    Raises:
        TypeError: they are something else.
    """
    if not isinstance(limits, ResourceLimits):
        raise TypeError(
            "resource_limits must be a ResourceLimits, such as "
            f"ResourceLimits(max_timeout_ms=1000), not {type(limits).__name__}"
        )
    return limits
