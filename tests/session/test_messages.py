"""What sessions get from each set of messages: the same events, and the same types."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from remotemedia import StreamClosed, StreamMetrics, StreamReady, data_v1, v1
from remotemedia.contracts.audio import AudioContract
from remotemedia.contracts.data import DataContract
from remotemedia.session import Event, StreamMessages
from remotemedia.v1 import ChunkResult, ErrorResponse
from tests.support.pipelines import tone

SETS = [(AudioContract(), v1), (DataContract(), data_v1)]


@pytest.mark.parametrize(("messages", "module"), SETS)
@pytest.mark.parametrize(
    ("field", "message", "content", "event", "cls"),
    [
        ("ready", "StreamReady", {"session_id": "s"}, Event.READY, StreamReady),
        ("result", "ChunkResult", {"sequence": 7}, Event.RESULT, ChunkResult),
        ("error", "ErrorResponse", {"message": "m"}, Event.ERROR, ErrorResponse),
        (
            *("metrics", "StreamMetrics", {"chunks_processed": 3}),
            *(Event.METRICS, StreamMetrics),
        ),
        ("closed", "StreamClosed", {"reason": "r"}, Event.CLOSED, StreamClosed),
    ],
)
def test_a_response_is_an_event_with_its_content(
    messages: StreamMessages,
    module: ModuleType,
    field: str,
    message: str,
    content: dict[str, Any],
    event: Event,
    cls: type,
) -> None:
    response = module.StreamResponse(**{field: getattr(module, message)(**content)})
    found, read = messages.read(response)
    assert found is event
    assert isinstance(read, cls)
    for name, value in content.items():
        assert getattr(read, name) == value


@pytest.mark.parametrize(("messages", "module"), SETS)
def test_a_response_with_nothing_in_it(
    messages: StreamMessages, module: ModuleType
) -> None:
    assert messages.read(module.StreamResponse()) == (Event.NOTHING, None)


@pytest.mark.parametrize(("messages", "module"), SETS)
@pytest.mark.parametrize(("ending", "number"), [(Event.CLOSE, 1), (Event.CANCEL, 2)])
def test_the_end_of_a_session(
    messages: StreamMessages, module: ModuleType, ending: Event, number: int
) -> None:
    request = module.StreamRequest.FromString(bytes(messages.control_request(ending)))
    assert request.control.command == number


@pytest.mark.parametrize(("messages", "module"), SETS)
def test_audio_on_its_way(messages: StreamMessages, module: ModuleType) -> None:
    buffer = tone(1600)
    content, size, length_s = messages.payload(buffer, "the chunk")
    assert size >= len(buffer.samples)
    assert length_s == buffer.duration
    request = messages.chunk_request("src", content, 5, 250)
    assert len(request) <= size + 1024
    chunk = getattr(request, request.which_oneof("request"))
    assert (chunk.node_id, chunk.sequence, chunk.timestamp_ms) == ("src", 5, 250)
    with pytest.raises(ValueError, match="the chunk: AudioBuffer"):
        messages.payload(v1.AudioBuffer(samples=b"123"), "the chunk")
