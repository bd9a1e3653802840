"""What a notebook shows of audio. tests/test_results.py has the tables of results."""

from __future__ import annotations

import base64
import contextlib
import io
import re
import wave
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from remotemedia.v1 import AudioBuffer, AudioFormat
from tests.test_audio import FORMATS, stereo

TONE = np.sin(np.arange(8000) / 10)[:, None] * [0.5, -0.25]


@contextlib.contextmanager
def played(html: str) -> Iterator[wave.Wave_read]:
    """Open the file that the player has."""
    found = re.search(r'<audio controls src="data:audio/wav;base64,([^"]*)">', html)
    assert found is not None
    with wave.open(io.BytesIO(base64.b64decode(found[1]))) as file:
        yield file


def shown(buffer: AudioBuffer) -> str:
    html = buffer._repr_html_()
    # It is XML but for attributes without a value.
    ET.fromstring(html.replace(" controls", ""))
    return html


@pytest.mark.parametrize("format_", FORMATS)
def test_a_notebook_shows_a_waveform_and_a_player(format_: AudioFormat) -> None:
    html = shown(AudioBuffer.from_numpy(TONE, 8000, format=format_))
    assert "1.000 s, 8000 Hz, 2 channels" in html
    assert html.count("M") >= 400
    with played(html) as file:
        assert (file.getframerate(), file.getnchannels()) == (8000, 2)
        assert (file.getsampwidth(), file.getnframes()) == (2, 8000)
        heard = np.frombuffer(file.readframes(8000), "<i2").reshape(-1, 2)
    np.testing.assert_allclose(heard / 32768, TONE, atol=1e-3)
    assert "The player has" not in html


def test_a_waveform_has_the_peaks_of_its_columns() -> None:
    array = np.zeros(8000, np.float32)
    array[4000:4020] = 1, *[0] * 18, -1
    html = shown(AudioBuffer.from_numpy(array, 8000))
    columns = re.findall(r"M([\d.]+) ([-\d.]+)V([-\d.]+)", html)
    assert len(columns) == 400
    assert columns[199:202] == [
        ("199.5", "39.5", "40.5"),
        ("200.5", "-0.5", "80.5"),
        ("201.5", "39.5", "40.5"),
    ]


def test_long_audio_is_bounded_in_a_notebook() -> None:
    array = np.zeros((61 * 8000, 1), np.int16)
    html = shown(AudioBuffer.from_numpy(array, 8000))
    with played(html) as file:
        assert file.getnframes() == 60 * 8000
    assert "The player has the first 60 s." in html
    wide = np.zeros((70 * 96000, 2), np.int16)
    with played(shown(AudioBuffer.from_numpy(wide, 96000))) as file:
        assert file.getnframes() == 30 * 96000


@pytest.mark.parametrize(
    "array",
    [
        np.full((5, 1), np.nan, np.float32),
        np.full((5, 3), -np.inf, np.float32),
        np.zeros((1, 1), np.int32),
        np.zeros((5, 12), np.int16),
    ],
)
def test_any_valid_audio_is_shown(array: npt.NDArray[Any]) -> None:
    html = shown(AudioBuffer.from_numpy(array, 8000, channels_first=False))
    assert "nan" not in html
    with played(html) as file:
        assert file.getnframes() == len(array)


def test_what_cannot_be_played_has_no_player() -> None:
    assert "audio" not in shown(stereo(sample_rate=2**32 - 1))
    html = shown(stereo(samples=b"", num_samples=0))
    assert "0.000 s" in html
    assert "svg" not in html


def test_an_invalid_buffer_is_shown_with_what_is_wrong() -> None:
    buffer = stereo()
    buffer.format = "<b>"  # type: ignore[assignment]  # on purpose
    html = shown(buffer)
    assert "it must be F32, I16 or I32" in html
    assert "&lt;b&gt;" in html
