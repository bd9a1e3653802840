"""Audio files of every kind, read whole or in chunks, and written chunk by chunk."""

from __future__ import annotations

import contextlib
import io
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile  # type: ignore[import-untyped]  # it has no type hints

from remotemedia.v1 import AudioBuffer, AudioFormat
from tests.test_audio import FORMATS, stereo

TONE = np.sin(np.arange(8000) / 10)[:, None] * [0.5, -0.25]
KINDS = [
    ("WAV", "GSM610", 1, AudioFormat.I16),
    ("WAV", "IMA_ADPCM", 2, AudioFormat.I16),
    ("WAV", "MS_ADPCM", 2, AudioFormat.I16),
    ("WAV", "ALAW", 2, AudioFormat.I16),
    ("WAV", "DOUBLE", 2, AudioFormat.F32),
    ("WAVEX", "PCM_24", 2, AudioFormat.I32),
    ("RF64", "PCM_16", 2, AudioFormat.I16),
    ("FLAC", "PCM_16", 2, AudioFormat.I16),
    ("FLAC", "PCM_24", 2, AudioFormat.I32),
    ("AIFF", "PCM_16", 2, AudioFormat.I16),
    ("CAF", "ALAC_16", 2, AudioFormat.I16),
    ("OGG", "VORBIS", 2, AudioFormat.F32),
    ("OGG", "OPUS", 2, AudioFormat.F32),
    ("MP3", "MPEG_LAYER_III", 2, AudioFormat.F32),
]


@pytest.mark.parametrize(("kind", "subtype", "channels", "format_"), KINDS)
def test_every_kind_of_file_is_read(
    tmp_path: Path, kind: str, subtype: str, channels: int, format_: AudioFormat
) -> None:
    path = tmp_path / "audio"
    soundfile.write(path, TONE[:, :channels], 8000, subtype, format=kind)
    buffer = AudioBuffer.from_file(path)
    assert (buffer.sample_rate, buffer.channels) == (8000, channels)
    assert buffer.format is format_
    # Codecs work in blocks, and MP3 pads the start.
    assert 8000 <= buffer.frames <= 8000 + 2500
    assert buffer.to_float32().max() == pytest.approx(0.5, abs=0.1)

    assert AudioBuffer.from_wav(io.BytesIO(path.read_bytes())) == buffer
    chunks = list(AudioBuffer.stream_file(path, 30))
    assert b"".join(chunk.samples for chunk in chunks) == buffer.samples
    assert {chunk.frames for chunk in chunks[:-1]} == {240}
    assert 1 <= chunks[-1].frames <= 240
    assert next(AudioBuffer.stream_file(path, 600)).frames == 4800


@pytest.mark.parametrize("size", [b"\0\0\0\0", b"\xff\xff\xff\xff"])
@pytest.mark.parametrize("has_riff_size", [True, False])
@pytest.mark.parametrize("subtype", ["PCM_16", "GSM610", "MS_ADPCM", "FLOAT"])
@pytest.mark.parametrize("level", [0, 1])
def test_a_wav_file_without_a_length_is_read_to_its_end(
    tmp_path: Path, size: bytes, has_riff_size: bool, subtype: str, level: int
) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, TONE[:, 0] * level, 8000, subtype)
    expected = AudioBuffer.from_wav(path)
    data = path.read_bytes()
    at = data.index(b"data") + 4
    data = data[:at] + size + data[at + 4 :]
    if not has_riff_size:
        data = data[:4] + size + data[8:]
    path.write_bytes(data)
    assert AudioBuffer.from_wav(path) == expected
    assert AudioBuffer.from_file(io.BytesIO(data)) == expected
    streamed = b"".join(chunk.samples for chunk in AudioBuffer.stream_file(path))
    assert streamed == expected.samples


@pytest.mark.parametrize("after", [b"", b"LIST\x03\0\0\0abc\0cue \0\0\0\0"])
def test_a_wav_file_without_audio_is_empty(tmp_path: Path, after: bytes) -> None:
    path = tmp_path / "a.wav"
    stereo(num_samples=0, samples=b"").to_wav(path)
    path.write_bytes(path.read_bytes() + after)
    buffer = AudioBuffer.from_wav(path)
    assert (buffer.sample_rate, buffer.channels, buffer.frames) == (8000, 2, 0)
    buffer.validate()
    assert list(AudioBuffer.stream_file(path)) == []


def test_a_file_is_streamed_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with AudioBuffer.file_writer(path) as writer:
        for _ in range(100):
            writer.write(AudioBuffer.from_numpy(np.zeros(48000, np.float32), 48000))
    list(AudioBuffer.stream_file(path, 10_000))  # imports what it needs
    tracemalloc.start()
    try:
        assert sum(chunk.frames for chunk in AudioBuffer.stream_file(path)) == 4_800_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000
    assert path.stat().st_size > 19_000_000


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_a_streamed_file_is_closed_by_the_iterator(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, TONE, 8000)

    def is_open() -> bool:
        links = Path("/proc/self/fd").iterdir()
        return any(link.exists() and link.samefile(path) for link in links)

    with contextlib.closing(AudioBuffer.stream_file(path)) as chunks:
        assert not is_open()
        next(chunks)
        assert is_open()
    assert not is_open()
    for _ in AudioBuffer.stream_file(path):
        assert is_open()
    assert not is_open()


@pytest.mark.parametrize("chunk_ms", [0, -1, float("nan"), float("inf")])
def test_a_chunk_needs_a_length(chunk_ms: float) -> None:
    with pytest.raises(ValueError, match=f"chunk_ms is {chunk_ms}; it must be"):
        AudioBuffer.stream_file("a.wav", chunk_ms)


def test_a_chunk_has_a_frame_at_least(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, TONE[:5], 8000)
    assert [chunk.frames for chunk in AudioBuffer.stream_file(path, 0.001)] == [1] * 5


def test_files_that_are_not_audio_are_errors(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not audio at all")
    with pytest.raises(ValueError, match=r"notes\.txt is not an audio file that can"):
        AudioBuffer.from_file(path)
    with pytest.raises(ValueError, match=r"notes\.txt is not an audio file that can"):
        next(AudioBuffer.stream_file(path))
    with pytest.raises(FileNotFoundError):
        next(AudioBuffer.stream_file(tmp_path / "none.wav"))


@pytest.mark.parametrize("source", [b"RIFF", bytearray(b"RIFF"), memoryview(b"RIFF")])
def test_bytes_in_place_of_a_file_are_refused_with_advice(source: Any) -> None:
    expected = (
        "expected a path or a file open in binary mode, not "
        f"{type(source).__name__}; io.BytesIO(data) makes a file of bytes"
    )
    for use in (AudioBuffer.from_wav, AudioBuffer.from_file, stereo().to_wav):
        with pytest.raises(TypeError) as caught:
            use(source)
        assert str(caught.value) == expected


@pytest.mark.parametrize("source", [None, 5, np.zeros(3)])
def test_other_objects_in_place_of_a_file_are_refused(source: Any) -> None:
    for use in (AudioBuffer.from_wav, AudioBuffer.from_file, stereo().to_wav):
        with pytest.raises(TypeError, match=r"open in binary mode, not \w+$"):
            use(source)


class FailingFile(io.BytesIO):
    """A file on a disk that fails once, after some bytes."""

    has_failed = False

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() > 30_000 and not self.has_failed:
            self.has_failed = True
            raise OSError("the disk failed")
        return super().read(size)


def test_a_disk_that_fails_is_an_oserror(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(100_000), 8000)
    failing = FailingFile(path.read_bytes())
    monkeypatch.setattr(Path, "open", lambda *_: failing)
    frames = 0
    with pytest.raises(OSError, match="the disk failed"):  # noqa: PT012 - as it streams
        for chunk in AudioBuffer.stream_file(path):
            frames += chunk.frames
    assert frames <= 30_000


@pytest.mark.parametrize("format_", FORMATS)
def test_a_written_wav_file_is_what_to_wav_writes(
    tmp_path: Path, format_: AudioFormat
) -> None:
    buffer = AudioBuffer.from_numpy(TONE, 8000, format=format_)
    with AudioBuffer.file_writer(str(tmp_path / "a.wav")) as writer:
        for chunk in buffer.chunks(999):
            writer.write(chunk)
    assert AudioBuffer.from_file(tmp_path / "a.wav") == buffer


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize(
    ("ending", "tolerance"), [("flac", 1e-6), ("OGG", 0.1), ("mp3", 0.1)]
)
def test_other_kinds_of_files_are_written(
    tmp_path: Path, format_: AudioFormat, ending: str, tolerance: float
) -> None:
    path = tmp_path / f"a.{ending}"
    buffer = AudioBuffer.from_numpy(TONE, 8000, format=format_)
    with AudioBuffer.file_writer(path) as writer:
        for chunk in buffer.chunks(800):
            writer.write(chunk)
    assert soundfile.info(path).format == ending.upper()
    again = AudioBuffer.from_file(path).to_float32()
    assert again.max() == pytest.approx(buffer.to_float32().max(), abs=tolerance)
    if ending == "flac":
        np.testing.assert_allclose(again, buffer.to_float32(), atol=tolerance)


def test_floats_above_full_scale_are_clamped_in_a_flac_file(tmp_path: Path) -> None:
    floats = np.array([-2, -1, 1, 2, np.inf, np.nan], np.float32)
    with AudioBuffer.file_writer(tmp_path / "a.flac") as writer:
        writer.write(AudioBuffer.from_numpy(floats, 8000))
    again = AudioBuffer.from_file(tmp_path / "a.flac").to_float32()[:, 0]
    assert again.tolist() == pytest.approx([-1, -1, 1, 1, 1, 0], abs=1e-6)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (stereo(sample_rate=16000), "the chunk has 16000 Hz, 2 channels"),
        (stereo(channels=1), "the chunk has 8000 Hz, 1 channels"),
        (stereo().to_format(AudioFormat.F32), "the chunk has 8000 Hz, 2 channels, .*F"),
        (stereo(num_samples=1), "num_samples says 1 x 2"),
    ],
)
def test_a_chunk_that_does_not_fit_is_refused(
    tmp_path: Path, other: AudioBuffer, said: str
) -> None:
    path = tmp_path / "a.wav"
    with AudioBuffer.file_writer(path) as writer:
        writer.write(stereo())
        with pytest.raises(ValueError, match=said):
            writer.write(other)
        writer.write(stereo())
    assert AudioBuffer.from_file(path).frames == 4


def test_a_file_keeps_what_was_written_before_an_error(tmp_path: Path) -> None:
    def record() -> None:
        with AudioBuffer.file_writer(tmp_path / "a.wav") as writer:
            writer.write(stereo())
            raise RuntimeError("the microphone is gone")

    with pytest.raises(RuntimeError, match="microphone"):
        record()
    assert AudioBuffer.from_file(tmp_path / "a.wav") == stereo()


def test_a_writer_without_chunks_leaves_no_file(tmp_path: Path) -> None:
    with AudioBuffer.file_writer(tmp_path / "a.wav"):
        pass
    assert not list(tmp_path.iterdir())


def test_a_closed_writer_takes_nothing(tmp_path: Path) -> None:
    with AudioBuffer.file_writer(tmp_path / "a.wav") as writer:
        writer.write(stereo())
    writer.close()
    with pytest.raises(ValueError, match=r"the writer of .*a\.wav is closed"):
        writer.write(stereo())


@pytest.mark.parametrize("name", ["a", "a.txt", "a.raw"])
def test_a_name_that_says_no_kind_of_file_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"'{name}' does not end as an audio file"):
        AudioBuffer.file_writer(name)


def test_a_rate_that_the_kind_of_file_does_not_have_is_refused(tmp_path: Path) -> None:
    with (
        AudioBuffer.file_writer(tmp_path / "a.mp3") as writer,
        pytest.raises(ValueError, match=r"a\.mp3 cannot have 2 channels at 8001 Hz: "),
    ):
        writer.write(stereo(sample_rate=8001))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("frames", [10, 100_000])
def test_a_full_disk_is_an_oserror(tmp_path: Path, frames: int) -> None:
    path = tmp_path / "a.wav"
    path.symlink_to("/dev/full")

    def record() -> None:
        with AudioBuffer.file_writer(path) as writer:
            writer.write(AudioBuffer.from_numpy(np.zeros(frames, np.int16), 8000))

    with pytest.raises(OSError, match="No space left"):
        record()


def test_files_need_soundfile_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "soundfile", None)
    for use in (
        lambda: AudioBuffer.from_file("a.flac"),
        lambda: next(AudioBuffer.stream_file("a.flac")),
        lambda: AudioBuffer.file_writer("a.flac"),
    ):
        with pytest.raises(ImportError, match=r"pip install 'remotemedia\[audio\]'"):
            use()


def test_what_is_no_audio_buffer_is_not_written(tmp_path: Path) -> None:
    array: Any = np.zeros(4, np.float32)
    with (
        AudioBuffer.file_writer(tmp_path / "a.wav") as writer,
        pytest.raises(TypeError, match="is ndarray, not an AudioBuffer"),
    ):
        writer.write(array)


def test_a_wav_file_has_no_name_of_another_kind(tmp_path: Path) -> None:
    buffer = AudioBuffer.from_numpy(np.zeros(4, np.float32), 8000)
    path = tmp_path / "a.flac"
    with pytest.raises(ValueError, match="file_writer writes other kinds"):
        buffer.to_wav(path)
    assert not path.exists()


def test_the_length_of_a_chunk_is_a_number() -> None:
    length: Any = "100"
    with pytest.raises(ValueError, match="chunk_ms is '100'; it must be"):
        AudioBuffer.stream_file("a.wav", chunk_ms=length)
