"""The registry of message classes."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from remotemedia import data_v1
from remotemedia.protobuf import registry
from remotemedia.protobuf.wkt import Any as AnyMessage
from remotemedia.protobuf.wkt import Duration
from remotemedia.v1 import AudioBuffer, StreamControl


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        ("remotemedia.v1.AudioBuffer", AudioBuffer),
        ("remotemedia.v1.StreamControl", StreamControl),
        ("google.protobuf.Duration", Duration),
    ],
)
def test_generated_messages_are_found_by_name(name: str, cls: type) -> None:
    assert registry.find(name) is cls


def test_an_unknown_name_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(LookupError, match=r"'no\.Such' is known; import the package"):
        registry.find("no.Such")


def test_of_two_sets_of_a_package_the_first_counts() -> None:
    assert data_v1.AudioBuffer.__proto_name__ == AudioBuffer.__proto_name__
    assert registry.find("remotemedia.v1.AudioBuffer") is AudioBuffer
    # What only the second set has is found there.
    assert registry.find("remotemedia.v1.DataBuffer") is data_v1.DataBuffer


def test_an_any_gives_the_class_of_either_set() -> None:
    sent = data_v1.AudioBuffer(channels=2, metadata_json=b"{}")
    packed = AnyMessage.pack(sent)
    assert packed.unpack(data_v1.AudioBuffer) == sent
    assert type(packed.unpack()) is AudioBuffer
    assert bytes(packed.unpack()) == bytes(sent)


def test_the_second_set_may_be_imported_first() -> None:
    program = (
        "import remotemedia.data_v1\n"
        "from remotemedia.protobuf import registry\n"
        "print(registry.find('remotemedia.v1.AudioBuffer').__module__)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stdout == "remotemedia.v1.common\n"


def test_a_module_that_is_reloaded_replaces_its_classes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry, "_classes", {})
    again: Any = type("AudioBuffer", (), {"__module__": AudioBuffer.__module__})
    other: Any = type("AudioBuffer", (), {"__module__": "elsewhere"})
    registry.register("a.B", AudioBuffer)
    registry.register("a.B", again)
    assert registry.find("a.B") is again
    registry.register("a.B", other)
    assert registry.find("a.B") is again
