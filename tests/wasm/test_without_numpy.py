"""What can be done with audio without numpy, which is imported on first use only."""

from __future__ import annotations

import sys

import pytest

from remotemedia import AudioBuffer, AudioFormat


@pytest.fixture(autouse=True)
def _without_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)


@pytest.fixture
def stereo() -> AudioBuffer:
    return AudioBuffer(
        samples=bytes(range(80)),
        sample_rate=10,
        channels=2,
        format=AudioFormat.I16,
        num_samples=40,
    )


def test_the_length(stereo: AudioBuffer) -> None:
    assert (stereo.frames, stereo.duration) == (20, 2.0)


def test_the_checks(stereo: AudioBuffer) -> None:
    stereo.validate()
    stereo.channels = 3
    with pytest.raises(ValueError, match="not a multiple of channels, 3"):
        stereo.validate()
    stereo.channels = 0
    with pytest.raises(ValueError, match=r"AudioBuffer\.channels is 0"):
        stereo.validate()


def test_the_chunks(stereo: AudioBuffer) -> None:
    chunks = list(stereo.chunks(8))
    assert [chunk.frames for chunk in chunks] == [8, 8, 4]
    assert b"".join(chunk.samples for chunk in chunks) == stereo.samples
    for chunk in chunks:
        chunk.validate()


def test_the_wire_and_json(stereo: AudioBuffer) -> None:
    assert AudioBuffer.FromString(bytes(stereo)) == stereo
    assert AudioBuffer().from_json(stereo.to_json()) == stereo


def test_an_array_needs_it(stereo: AudioBuffer) -> None:
    with pytest.raises(ImportError, match="numpy"):
        stereo.to_numpy()
