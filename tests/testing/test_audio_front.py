"""The audio contract: what it cannot carry.

Its calls are tested by ``test_execution`` and ``test_streaming``, on both contracts.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from remotemedia.data_v1 import TextBuffer, VideoFrame
from remotemedia.errors import RemoteMediaError
from remotemedia.testing import LocalService, NodeCall, NodeOutput
from remotemedia.testing.audio_front import JsonText, node_inputs
from remotemedia.testing.pipeline import NodeInput
from remotemedia.v1 import AudioBuffer, ErrorType, ExecuteRequest
from tests.support.pipelines import tone
from tests.testing.core_client import connect
from tests.testing.manifests import chain, node


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (VideoFrame(), "VideoFrame"),
        (TextBuffer(), "TextBuffer"),
        (np.zeros(3), "ndarray"),
        (b"", "bytes"),
    ],
)
async def test_a_node_that_returns_another_kind_fails(
    core_modules: dict[str, ModuleType], value: Any, name: str
) -> None:
    def give(call: NodeCall) -> NodeOutput:
        return NodeOutput(tone(), value)

    # The node after it has no part in this.
    manifest = chain(node("give", "Give"), node("n", "PassThrough"))
    async with (
        LocalService(nodes={"Give": give}) as service,
        connect(core_modules, service.address) as client,
    ):
        status, message = await client.failure(ExecuteRequest(manifest=manifest))
    assert status == "INTERNAL"
    assert message.startswith(f"Node give: it returned {name}, which the audio")


@pytest.mark.parametrize("value", [None, True, 1.5, np.float64(1), "ž", [{}]])
def test_json_goes_on_as_it_is(value: Any) -> None:
    assert JsonText().take(value) is value


def test_inputs_are_what_a_node_gets_of_both_maps() -> None:
    assert node_inputs({"a": tone(), "b": tone()}, {"b": "1", "c": "[2]"}) == {
        "a": NodeInput(tone()),
        "b": NodeInput(tone(), 1),
        "c": NodeInput(None, [2]),
    }
    audio: dict[str, AudioBuffer] = {}
    with pytest.raises(RemoteMediaError, match=r"data_inputs\['c'\] is not") as caught:
        node_inputs(audio, {"c": "{"})
    assert caught.value.error_type is ErrorType.VALIDATION
    assert caught.value.failing_node_id == "c"
