"""Known fields with a wire type that they cannot have are refused."""

from __future__ import annotations

import pytest

from remotemedia import data_v1, v1
from remotemedia.protobuf.wire_types import check_wire_types

MANIFEST = v1.PipelineManifest(version="v1", nodes=[v1.NodeManifest(id="n")])
# `max_memory_bytes`, which is a number, as a string.
WRONG = b"\x0a\x01x"


def test_a_request_of_the_right_contract_passes() -> None:
    request = v1.ExecuteRequest(
        manifest=MANIFEST,
        audio_inputs={"a": v1.AudioBuffer(samples=b"1234")},
        data_inputs={"b": "{}"},
        client_version="v1",
    )
    check_wire_types(v1.ExecuteRequest.FromString(bytes(request)))


def test_the_other_contract_s_request_is_told_by_its_fields() -> None:
    request = v1.ExecuteRequest(manifest=MANIFEST, data_inputs={"n": "5"})
    other = data_v1.ExecuteRequest.FromString(bytes(request))
    with pytest.raises(ValueError, match=r"^ResourceLimits\.max_memory_bytes: .* 2$"):
        check_wire_types(other)


@pytest.mark.parametrize(
    "message",
    [
        v1.ExecuteRequest(manifest=v1.PipelineManifest.FromString(b"\x08\x01")),
        v1.ExecuteRequest(audio_inputs={"n": v1.AudioBuffer.FromString(b"\x08\x01")}),
        v1.PipelineManifest(nodes=[v1.NodeManifest.FromString(b"\x08\x01")]),
    ],
    ids=["in a field", "in a map", "in a list"],
)
def test_messages_in_a_message_are_checked(
    message: v1.ExecuteRequest | v1.PipelineManifest,
) -> None:
    with pytest.raises(ValueError, match="invalid wire type 0"):
        check_wire_types(message)


def test_fields_that_are_not_known_may_be_anything() -> None:
    unknown = b"\xa2\x06\x01x"
    group = b"\xa3\x06" + WRONG + b"\xa4\x06"
    check_wire_types(v1.ResourceLimits.FromString(unknown + group))
    with pytest.raises(ValueError, match="max_memory_bytes"):
        check_wire_types(v1.ResourceLimits.FromString(group + WRONG))
