"""The registry of message classes."""

from __future__ import annotations

import pytest

from remotemedia.protobuf import registry
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


def test_of_two_classes_with_a_name_the_last_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry, "_classes", {})
    registry.register("a.B", AudioBuffer)
    registry.register("a.B", Duration)
    assert registry.find("a.B") is Duration
