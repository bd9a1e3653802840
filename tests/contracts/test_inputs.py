"""The inputs of a call, before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest

from remotemedia import AudioBuffer, ErrorType, RemoteMediaError, ResourceLimits
from remotemedia.contracts.inputs import audio_inputs_of, checked_limits, data_inputs_of
from remotemedia.manifest import to_manifest
from tests.support.pipelines import PASS, tone

MANIFEST = to_manifest(PASS)


def test_inputs_are_taken_by_node() -> None:
    buffer = tone()
    assert audio_inputs_of(MANIFEST, {"src": buffer}) == {"src": buffer}
    assert data_inputs_of(MANIFEST, {"src": {"a": 1}}) == {"src": '{"a": 1}'}
    assert data_inputs_of(MANIFEST, {"src": "[1]"}) == {"src": "[1]"}


def test_no_inputs_are_none() -> None:
    assert audio_inputs_of(MANIFEST, None) == {}
    assert data_inputs_of(MANIFEST, None) == {}


@pytest.mark.parametrize("check", [audio_inputs_of, data_inputs_of])
def test_inputs_are_a_mapping_of_nodes(check: Any) -> None:
    with pytest.raises(TypeError, match=r"_inputs must be a dict .*'src': ….* list"):
        check(MANIFEST, [tone()])
    with pytest.raises(RemoteMediaError, match="other") as caught:
        check(MANIFEST, {"other": tone()})
    assert caught.value.error_type is ErrorType.VALIDATION


def test_what_is_wrong_with_an_input_is_named() -> None:
    with pytest.raises(TypeError, match=r"audio_inputs\['src'\]"):
        audio_inputs_of(MANIFEST, {"src": b""})  # type: ignore[dict-item]  # the mistake
    with pytest.raises(TypeError, match=r"data_inputs\['src'\]"):
        data_inputs_of(MANIFEST, {"src": object()})


def test_limits_are_a_message() -> None:
    limits = ResourceLimits(max_timeout_ms=1)
    assert checked_limits(limits) is limits
    with pytest.raises(TypeError, match="resource_limits must be a ResourceLimits"):
        checked_limits({"max_timeout_ms": 1})  # type: ignore[arg-type]  # the mistake


def test_text_that_is_no_json_says_how_to_send_it() -> None:
    with pytest.raises(ValueError, match=r"\['src'\]: a str is sent as JSON"):
        data_inputs_of(MANIFEST, {"src": "hello"})
    assert data_inputs_of(MANIFEST, {"src": '"hello"'}) == {"src": '"hello"'}


def test_audio_among_the_data_says_where_it_goes() -> None:
    with pytest.raises(TypeError, match=r"data_inputs\['src'\] is audio, which goes"):
        data_inputs_of(MANIFEST, {"src": AudioBuffer()})
