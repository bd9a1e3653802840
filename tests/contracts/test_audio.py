"""The adapter of the audio contract: requests that go out, responses that come."""

from __future__ import annotations

import numpy as np
import pytest

from remotemedia import ResourceLimits
from remotemedia.contracts.audio import AudioContract
from remotemedia.v1 import (
    ErrorResponse,
    ErrorType,
    ExecuteRequest,
    ExecuteResponse,
    ExecutionResult,
    StreamRequest,
)
from tests.support.pipelines import PASS, tone

CONTRACT = AudioContract()


def test_a_request_of_an_execution() -> None:
    limits = ResourceLimits(max_timeout_ms=7)
    sent = CONTRACT.execute_request(PASS, {"src": tone()}, {"src": {"a": 1}}, limits)
    request = ExecuteRequest.FromString(bytes(sent))
    assert request.manifest.nodes[0].id == "src"
    assert request.audio_inputs == {"src": tone()}
    assert request.data_inputs == {"src": '{"a": 1}'}
    assert request.resource_limits == limits
    assert request.client_version == "v1"
    assert not CONTRACT.execute_request(PASS, None, None, None).is_set(
        "resource_limits"
    )


def test_a_request_that_opens_a_session() -> None:
    manifest = CONTRACT.manifest(PASS)
    sent = CONTRACT.init_request(manifest, {"src": [1]}, 160, ResourceLimits())
    init = StreamRequest.FromString(bytes(sent)).init
    assert init.manifest == manifest
    assert init.data_inputs == {"src": "[1]"}
    assert init.expected_chunk_size == 160
    assert init.client_version == "v1"


def test_a_result_an_error_and_neither() -> None:
    result = ExecutionResult(data_outputs={"a": "1"})
    response = ExecuteResponse(result=result)
    assert CONTRACT.error_of(response) is None
    assert CONTRACT.result_of(response) is result
    error = ErrorResponse(error_type=ErrorType.VALIDATION, message="no")
    assert CONTRACT.error_of(ExecuteResponse(error=error)) == error
    neither = CONTRACT.error_of(ExecuteResponse())
    assert neither is not None
    assert "neither a result nor an error" in neither.message


@pytest.mark.parametrize("value", ["text", b"bytes", {"a": 1}, np.zeros(3), None])
def test_a_stream_carries_audio_alone(value: object) -> None:
    with pytest.raises(TypeError, match=r"the chunk is .*, not an AudioBuffer"):
        CONTRACT.payload(value, "the chunk")
