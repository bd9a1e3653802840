"""AudioBuffer: numpy, formats, WAV files, chunks and checks."""

from __future__ import annotations

import gc
import io
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soundfile  # type: ignore[import-untyped]  # it has no type hints
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from remotemedia.v1 import AudioBuffer, AudioFormat

DTYPES: dict[AudioFormat, np.dtype[Any]] = {
    AudioFormat.F32: np.dtype(np.float32),
    AudioFormat.I16: np.dtype(np.int16),
    AudioFormat.I32: np.dtype(np.int32),
}
FORMATS = list(DTYPES)


def arrays(format_: AudioFormat) -> st.SearchStrategy[npt.NDArray[Any]]:
    """Samples of one format in every layout that numpy can hold them in."""
    shape = st.one_of(
        st.tuples(st.integers(0, 30)),
        st.tuples(st.integers(0, 30), st.integers(1, 6)),
    )
    layout = st.sampled_from(["as is", "reversed", "strided", "fortran"])

    def laid_out(array: npt.NDArray[Any], how: str) -> npt.NDArray[Any]:
        if how == "reversed":
            return array[::-1]
        if how == "strided":
            return np.repeat(array, 2, axis=0)[::2]
        if how == "fortran":
            return np.asfortranarray(array)
        return array

    plain = st.tuples(st.booleans(), shape).flatmap(
        lambda drawn: st_numpy.arrays(
            DTYPES[format_].newbyteorder(">" if drawn[0] else "<"),
            drawn[1],
            # Bytes, so that every float occurs: NaN, infinity, subnormal.
            elements=st.binary(min_size=4, max_size=4).map(
                lambda four: np.frombuffer(four, DTYPES[format_])[0]
            ),
        )
    )
    return st.builds(laid_out, plain, layout)


@pytest.mark.parametrize("format_", FORMATS)
@settings(max_examples=50)
@given(data=st.data(), rate=st.integers(1, 2**32 - 1))
def test_numpy_round_trip(format_: AudioFormat, data: st.DataObject, rate: int) -> None:
    array = data.draw(arrays(format_))
    buffer = AudioBuffer.from_numpy(array, rate, channels_first=False)

    frames = array.shape[0]
    channels = 1 if array.ndim == 1 else array.shape[1]
    assert (buffer.sample_rate, buffer.channels) == (rate, channels)
    assert buffer.format is format_
    assert (buffer.frames, buffer.num_samples) == (frames, frames * channels)
    assert buffer.duration == frames / rate
    buffer.validate()

    back = buffer.to_numpy()
    assert back.shape == (frames, channels)
    assert back.dtype == DTYPES[format_].newbyteorder("<")
    # As bytes: NaN is not equal to itself, and its payload must survive too.
    little_endian = array.astype(array.dtype.newbyteorder("<"))
    assert back.tobytes() == little_endian.tobytes() == buffer.samples


def test_samples_are_interleaved_and_little_endian() -> None:
    array = np.array([[1, 2], [3, -4]], np.int16)
    assert AudioBuffer.from_numpy(array, 8000).samples == bytes.fromhex(
        "0100 0200 0300 fcff"
    )


def test_numbers_of_the_formats_are_the_contracts() -> None:
    made = {
        AudioBuffer.from_numpy(np.zeros(1, dtype), 8000).format.value: dtype.name
        for dtype in DTYPES.values()
    }
    assert made == {1: "float32", 2: "int16", 3: "int32"}


def test_to_numpy_shares_memory_and_is_read_only() -> None:
    buffer = AudioBuffer.from_numpy(np.arange(6, dtype=np.int16).reshape(3, 2), 8000)
    array = buffer.to_numpy()
    assert np.shares_memory(array, np.frombuffer(buffer.samples, np.uint8))
    with pytest.raises(ValueError, match="read-only"):
        array[0, 0] = 1


def test_to_numpy_of_a_bytearray_is_read_only_too() -> None:
    buffer = AudioBuffer.from_numpy(np.arange(3, dtype=np.int16), 8000)
    buffer.samples = bytearray(buffer.samples)  # type: ignore[assignment]  # on purpose
    assert not buffer.to_numpy().flags.writeable


FLOAT_ADVICE = "array.astype(numpy.float32) converts it"
INT_ADVICE = "array.astype(numpy.int16) converts it, if its values are 16-bit"
BYTE_ADVICE = "(array.astype(numpy.float32) - 128) / 128 converts 8-bit audio"


@pytest.mark.parametrize(
    ("dtype", "advice"),
    [
        (np.float64, FLOAT_ADVICE),
        (np.float16, FLOAT_ADVICE),
        (np.uint8, BYTE_ADVICE),
        (np.int8, INT_ADVICE),
        (np.uint16, INT_ADVICE),
        (np.int64, INT_ADVICE),
        (np.bool_, "convert it to one of these"),
        (np.complex64, "convert it to one of these"),
    ],
)
def test_other_dtypes_are_refused_with_advice(
    dtype: type[np.generic], advice: str
) -> None:
    array: Any = np.zeros(4, dtype)
    with pytest.raises(TypeError) as caught:
        AudioBuffer.from_numpy(array, 8000)
    assert str(caught.value) == (
        f"array has dtype {np.dtype(dtype)}, and audio is float32, int16 or int32; "
        + advice
    )


def test_the_advice_for_float64_and_8_bit_works() -> None:
    wave = np.sin(np.arange(100) / 5)
    with pytest.raises(TypeError, match=r"array\.astype\(numpy\.float32\) converts"):
        AudioBuffer.from_numpy(wave, 8000)
    AudioBuffer.from_numpy(wave.astype(np.float32), 8000)

    eight_bit = np.array([0, 128, 255], np.uint8)
    with pytest.raises(
        TypeError, match=r"\(array.astype\(numpy.float32\) - 128\) / 128"
    ):
        AudioBuffer.from_numpy(eight_bit, 8000)  # type: ignore[arg-type]  # on purpose
    floats = (eight_bit.astype(np.float32) - 128) / 128
    assert floats.tolist() == [-1.0, 0.0, 127 / 128]


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((), np.int16), r"shape \(\); it must be \(frames,\) or"),
        (np.zeros((2, 2, 2), np.int16), r"shape \(2, 2, 2\); it must be"),
        (np.zeros((4, 0), np.int16), r"0 channels; it must be \(frames, channels\)"),
        (np.zeros((2, 1025), np.int16), r"1025 channels.*Pass array\.T"),
    ],
)
def test_other_shapes_are_refused(array: npt.NDArray[np.int16], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        AudioBuffer.from_numpy(array, 8000)


def test_a_list_is_refused() -> None:
    not_array: Any = [0.0, 0.5]
    with pytest.raises(TypeError, match=r"must be a numpy array, not list; numpy\.as"):
        AudioBuffer.from_numpy(not_array, 8000)


@pytest.mark.parametrize("rate", [0, -8000, 2**32])
def test_rates_out_of_range_are_refused(rate: int) -> None:
    with pytest.raises(ValueError, match=f"sample_rate is {rate}; it must be at"):
        AudioBuffer.from_numpy(np.zeros(1, np.int16), rate)


@pytest.mark.parametrize("rate", [8000.0, "8000", None, True, np.True_])
def test_rates_that_are_not_an_int_are_refused(rate: Any) -> None:
    with pytest.raises(TypeError, match="sample_rate must be an int, not "):
        AudioBuffer.from_numpy(np.zeros(1, np.int16), rate)


def test_an_integer_of_numpy_is_a_rate() -> None:
    rate: Any = np.uint16(8000)
    buffer = AudioBuffer.from_numpy(np.zeros(1, np.int16), rate)
    assert type(buffer.sample_rate) is int


# Formats


def test_integers_become_floats_by_the_contracts_divisors() -> None:
    i16 = np.array([-32768, -1, 0, 1, 32767], np.int16)
    assert AudioBuffer.from_numpy(i16, 8000).to_float32()[:, 0].tolist() == [
        -1.0,
        -1 / 32768,
        0.0,
        1 / 32768,
        32767 / 32768,
    ]
    i32 = np.array([-(2**31), -(2**30), 0, 2**24], np.int32)
    floats = AudioBuffer.from_numpy(i32, 8000).to_float32()
    assert floats[:, 0].tolist() == [-1.0, -0.5, 0.0, 1 / 128]
    assert floats.dtype == np.float32


@pytest.mark.parametrize("format_", FORMATS)
def test_to_float32_is_a_new_array_of_its_own(format_: AudioFormat) -> None:
    buffer = AudioBuffer.from_numpy(np.zeros((3, 2), DTYPES[format_]), 8000)
    floats = buffer.to_float32()
    floats += 1
    assert floats.shape == (3, 2)
    assert not any(buffer.samples)


@pytest.mark.parametrize(
    ("format_", "lowest", "highest"),
    [(AudioFormat.I16, -32768, 32767), (AudioFormat.I32, -(2**31), 2**31 - 1)],
)
def test_floats_become_integers_clamped(
    format_: AudioFormat, lowest: int, highest: int
) -> None:
    floats = np.array([-np.inf, -3, -1, 0, 1, 3, np.inf, np.nan], np.float32)
    array = AudioBuffer.from_numpy(floats, 8000).to_format(format_).to_numpy()
    clamped = [lowest] * 3 + [0] + [highest] * 3 + [0]
    assert array[:, 0].tolist() == clamped


def test_floats_become_the_nearest_integer() -> None:
    floats = np.array([0.4, 0.6, -0.4, -0.6], np.float32) / 32768
    array = AudioBuffer.from_numpy(floats, 8000).to_format(AudioFormat.I16).to_numpy()
    assert array[:, 0].tolist() == [0, 1, 0, -1]


@pytest.mark.parametrize("wider", [AudioFormat.F32, AudioFormat.I32])
def test_every_16_bit_sample_survives_a_wider_format(wider: AudioFormat) -> None:
    array = np.arange(-32768, 32768).astype(np.int16).reshape(-1, 4)
    buffer = AudioBuffer.from_numpy(array, 48000)
    assert buffer.to_format(wider).to_format(AudioFormat.I16) == buffer


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("target", FORMATS)
@settings(max_examples=25)
@given(data=st.data())
def test_to_format_agrees_with_to_float32(
    format_: AudioFormat, target: AudioFormat, data: st.DataObject
) -> None:
    array = data.draw(arrays(format_))
    buffer = AudioBuffer.from_numpy(array, 8000, channels_first=False)
    converted = buffer.to_format(target)
    converted.validate()
    assert converted.format is target
    assert (converted.sample_rate, converted.channels, converted.num_samples) == (
        buffer.sample_rate,
        buffer.channels,
        buffer.num_samples,
    )
    expected = buffer.to_float32()
    if target is not format_ and target is not AudioFormat.F32:
        expected = np.nan_to_num(np.clip(expected, -1, 1), nan=0.0)
    # Half a step of I16, and what clamping takes off 1.0.
    tolerance = 0 if target in (format_, AudioFormat.F32) else 1 / 32768
    np.testing.assert_allclose(
        converted.to_float32(), expected, rtol=0, atol=tolerance, equal_nan=True
    )


def test_to_format_of_the_same_format_is_the_buffer_itself() -> None:
    buffer = AudioBuffer.from_numpy(np.zeros(2, np.int16), 8000)
    assert buffer.to_format(AudioFormat.I16) is buffer


@pytest.mark.parametrize("target", [AudioFormat.UNSPECIFIED, 4])
def test_to_format_refuses_other_values(target: int) -> None:
    buffer = AudioBuffer.from_numpy(np.zeros(2, np.int16), 8000)
    with pytest.raises(ValueError, match=r"target is .*; it must be F32, I16 or I32"):
        buffer.to_format(target)


# Chunks


@pytest.mark.parametrize("format_", FORMATS)
@settings(max_examples=50)
@given(data=st.data(), frames=st.integers(1, 40))
def test_chunks_lose_and_repeat_nothing(
    format_: AudioFormat, data: st.DataObject, frames: int
) -> None:
    array = data.draw(arrays(format_))
    buffer = AudioBuffer.from_numpy(array, 16000, channels_first=False)
    chunks = list(buffer.chunks(frames))
    assert b"".join(chunk.samples for chunk in chunks) == buffer.samples
    for chunk in chunks:
        chunk.validate()
        assert chunk.format is format_
        assert (chunk.sample_rate, chunk.channels) == (16000, buffer.channels)
    assert [chunk.frames for chunk in chunks[:-1]] == [frames] * (len(chunks) - 1)
    if chunks:
        assert 1 <= chunks[-1].frames <= frames


def test_chunks_refuse_misuse_before_the_first_is_taken() -> None:
    buffer = AudioBuffer.from_numpy(np.zeros(4, np.int16), 8000)
    with pytest.raises(ValueError, match="frames is 0; it must be at least 1"):
        buffer.chunks(0)
    with pytest.raises(TypeError, match="frames must be an int, not float"):
        buffer.chunks(1.5)  # type: ignore[arg-type]  # on purpose
    buffer.channels = 3
    with pytest.raises(ValueError, match=r"AudioBuffer\.num_samples is 4"):
        buffer.chunks(1)


# Checks


def stereo(**changes: Any) -> AudioBuffer:
    """Two frames of 16-bit stereo, valid apart from the changes."""
    fields: dict[str, Any] = {
        "samples": bytes(8),
        "sample_rate": 8000,
        "channels": 2,
        "format": AudioFormat.I16,
        "num_samples": 4,
    }
    return AudioBuffer(**(fields | changes))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"format": AudioFormat.UNSPECIFIED},
            r"\.format is .*; it must be F32, I16 or",
        ),
        ({"format": 9}, r"\.format is .*; it must be F32, I16 or I32"),
        ({"sample_rate": 0}, r"\.sample_rate is 0; it must be at least 1"),
        ({"channels": 0}, r"\.channels is 0; it must be at least 1"),
        ({"channels": 2**32}, r"\.channels is 4294967296; it must be at most"),
        (
            {"channels": 3},
            r"\.num_samples is 4, which is not a multiple of channels, 3",
        ),
        ({"num_samples": 2}, r"\.samples has 8 bytes, and num_samples says 2 x 2"),
        ({"num_samples": -4}, r"\.num_samples is -4; it must be at least 0"),
        (
            {"samples": bytes(9)},
            r"\.samples has 9 bytes, which is no whole number of 2-byte samples, as "
            r"AudioFormat\.I16 has",
        ),
        ({"format": AudioFormat.F32}, r"\.samples has 8 bytes, .* says 4 x 4"),
    ],
)
def test_fields_that_do_not_fit_together_are_refused(
    changes: dict[str, Any], said: str
) -> None:
    stereo().validate()
    buffer = stereo(**changes)
    for use in (
        buffer.validate,
        buffer.to_numpy,
        buffer.to_float32,
        lambda: buffer.to_format(AudioFormat.F32),
        lambda: buffer.chunks(1),
        lambda: buffer.to_wav(io.BytesIO()),
    ):
        with pytest.raises(ValueError, match="AudioBuffer" + said):
            use()


def test_fields_of_the_wrong_type_are_refused() -> None:
    buffer = stereo()
    buffer.samples = [1, 2]  # type: ignore[assignment]  # on purpose
    with pytest.raises(TypeError, match=r"AudioBuffer\.samples is list; it must be"):
        buffer.validate()
    buffer = stereo()
    buffer.sample_rate = "8000"  # type: ignore[assignment]  # on purpose
    with pytest.raises(TypeError, match=r"AudioBuffer\.sample_rate must be an int"):
        buffer.validate()


@pytest.mark.parametrize("use", ["validate", "frames", "duration"])
@pytest.mark.parametrize(
    "buffer",
    [
        stereo(),
        AudioBuffer().parse(bytes(stereo())),
        # The least values that are valid.
        stereo(sample_rate=1, channels=1, num_samples=0, samples=b""),
        stereo(sample_rate=2**32 - 1, channels=2**32 - 1, num_samples=0, samples=b""),
    ],
)
def test_a_valid_buffer_is_checked_in_one_python_call(
    buffer: AudioBuffer, use: str
) -> None:
    buffer.validate()  # fills the cache of sample types
    called = []

    def on_event(frame: FrameType, event: str, argument: object) -> None:
        if event == "call":
            called.append(frame.f_code.co_name)

    before = sys.getprofile()
    # Collecting the garbage of other tests may call Python code.
    gc.disable()
    sys.setprofile(on_event)
    try:
        found = getattr(buffer, use)
        if use == "validate":
            found()
    finally:
        sys.setprofile(before)
        gc.enable()
    assert called == [use]


@pytest.mark.parametrize("field", ["sample_rate", "channels", "num_samples"])
def test_an_integer_of_numpy_is_a_number_too(field: str) -> None:
    buffer = stereo(**{field: np.uint32(getattr(stereo(), field))})
    buffer.validate()
    assert (buffer.frames, buffer.duration) == (2, 2 / 8000)


@pytest.mark.parametrize("value", [1, 2**32 - 1])
def test_the_least_and_the_greatest_integers_of_numpy_are_accepted(value: int) -> None:
    number = np.uint32(value)
    buffer = stereo(
        sample_rate=number, channels=number, num_samples=np.uint32(0), samples=b""
    )
    buffer.validate()
    assert (buffer.frames, buffer.duration) == (0, 0.0)


@pytest.mark.parametrize("field", ["sample_rate", "channels", "num_samples"])
@pytest.mark.parametrize("value", [True, np.True_, 2.0, "2", None])
def test_a_number_that_is_no_integer_is_refused(field: str, value: object) -> None:
    with pytest.raises(TypeError, match=rf"AudioBuffer\.{field} must be an int, not "):
        stereo(**{field: value}).validate()


def test_the_largest_numbers_of_the_contract_are_accepted() -> None:
    most = 2**32 - 1
    buffer = stereo(sample_rate=most, channels=most, num_samples=0, samples=b"")
    buffer.validate()
    assert (buffer.frames, buffer.duration) == (0, 0.0)
    for field in ("sample_rate", "channels"):
        with pytest.raises(ValueError, match=rf"{field} is {2**32}; it must be at m"):
            _ = stereo(**{field: 2**32}).duration


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_samples_may_be_any_kind_of_bytes(kind: Callable[[bytes], Any]) -> None:
    buffer = stereo()
    buffer.samples = kind(bytes.fromhex("0100 0200 0300 0400"))
    buffer.validate()
    assert buffer.to_numpy().tolist() == [[1, 2], [3, 4]]
    assert [chunk.samples.hex() for chunk in buffer.chunks(1)] == [
        "01000200",
        "03000400",
    ]


def test_the_length_of_a_view_is_counted_in_bytes() -> None:
    buffer = stereo()
    buffer.samples = memoryview(bytes(8)).cast("h")  # type: ignore[assignment]  # on purpose
    buffer.validate()


def test_an_empty_buffer_is_valid() -> None:
    buffer = AudioBuffer.from_numpy(np.zeros((0, 2), np.float32), 8000)
    buffer.validate()
    assert (buffer.frames, buffer.duration) == (0, 0.0)
    assert buffer.to_numpy().shape == (0, 2)
    assert list(buffer.chunks(10)) == []


def test_a_buffer_without_channels_or_rate_has_no_length() -> None:
    with pytest.raises(ValueError, match=r"AudioBuffer\.channels is 0"):
        _ = AudioBuffer().frames
    with pytest.raises(ValueError, match=r"AudioBuffer\.sample_rate is 0"):
        _ = stereo(sample_rate=0).duration


def test_a_decoded_buffer_has_the_methods_too() -> None:
    decoded = AudioBuffer().parse(bytes(stereo()))
    assert decoded.to_numpy().tolist() == [[0, 0], [0, 0]]


# WAV files


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (44100, 2), (192000, 6)])
def test_wav_round_trip(
    tmp_path: Path, format_: AudioFormat, rate: int, channels: int
) -> None:
    noise = np.random.default_rng(1).integers(-(2**15), 2**15, (50, channels))
    array = noise.astype(DTYPES[format_])
    buffer = AudioBuffer.from_numpy(array, rate)

    buffer.to_wav(tmp_path / "a.wav")
    assert AudioBuffer.from_wav(tmp_path / "a.wav") == buffer
    buffer.to_wav(str(tmp_path / "b.wav"))
    assert AudioBuffer.from_wav(str(tmp_path / "b.wav")) == buffer
    in_memory = io.BytesIO()
    buffer.to_wav(in_memory)
    in_memory.seek(0)
    assert AudioBuffer.from_wav(in_memory) == buffer


@pytest.mark.parametrize(
    ("subtype", "format_"),
    [
        ("PCM_U8", AudioFormat.I16),
        ("PCM_16", AudioFormat.I16),
        ("PCM_24", AudioFormat.I32),
        ("PCM_32", AudioFormat.I32),
        ("FLOAT", AudioFormat.F32),
        ("DOUBLE", AudioFormat.F32),
        ("ULAW", AudioFormat.I16),
    ],
)
def test_wav_samples_keep_their_values(
    tmp_path: Path, subtype: str, format_: AudioFormat
) -> None:
    path = tmp_path / "a.wav"
    values = np.array([[-1.0, 0.5], [0.0, -0.25]])
    soundfile.write(path, values, 8000, subtype)
    buffer = AudioBuffer.from_wav(path)
    assert buffer.format is format_
    np.testing.assert_allclose(
        buffer.to_float32(), values, atol=0.05 if subtype == "ULAW" else 1 / 127
    )


def test_24_bit_samples_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    array = np.array([-(2**23), -1, 0, 1, 2**23 - 1], np.int32) << 8
    soundfile.write(path, array, 48000, "PCM_24")
    assert AudioBuffer.from_wav(path).to_numpy()[:, 0].tolist() == array.tolist()


def test_a_file_that_is_not_a_wav_file_is_a_value_error(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not audio at all")
    with pytest.raises(ValueError, match=r"notes\.txt is not a WAV file that can be"):
        AudioBuffer.from_wav(path)
    with pytest.raises(ValueError, match="the file is not a WAV file"):
        AudioBuffer.from_wav(io.BytesIO(b""))


def test_missing_files_and_folders_are_oserrors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        AudioBuffer.from_wav(tmp_path / "none.wav")
    with pytest.raises(FileNotFoundError):
        stereo().to_wav(tmp_path / "none" / "a.wav")


def test_without_soundfile_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(ImportError, match=r"pip install 'remotemedia\[audio\]'"):
        AudioBuffer.from_wav("a.wav")
    with pytest.raises(ImportError, match=r"pip install 'remotemedia\[audio\]'"):
        stereo().to_wav("a.wav")


# Channels first


@pytest.mark.parametrize("shape", [(2, 160), (1, 160), (1, 2), (40, 33), (100, 1024)])
def test_an_array_that_looks_like_channels_first_is_refused(
    shape: tuple[int, int],
) -> None:
    array = np.zeros(shape, np.int16)
    with pytest.raises(ValueError, match="looks like") as caught:
        AudioBuffer.from_numpy(array, 8000)
    frames, channels = shape
    assert str(caught.value) == (
        f"array has shape {shape}, which looks like (channels, frames). Pass "
        "channels_first=True if it is, or channels_first=False if it is "
        f"{frames} frames of {channels} channels"
    )
    buffer = AudioBuffer.from_numpy(array, 8000, channels_first=False)
    assert (buffer.frames, buffer.channels) == (frames, channels)


@pytest.mark.parametrize("shape", [(2, 2), (32, 32), (33, 32), (160, 2), (0, 2), (1,)])
def test_other_arrays_are_frames_first(shape: tuple[int, ...]) -> None:
    buffer = AudioBuffer.from_numpy(np.zeros(shape, np.int16), 8000)
    assert buffer.frames == shape[0]


def test_channels_first_is_transposed() -> None:
    array = np.array([[1, 2, 3], [4, 5, 6]], np.int16)
    buffer = AudioBuffer.from_numpy(array, 8000, channels_first=True)
    assert buffer.to_numpy().tolist() == [[1, 4], [2, 5], [3, 6]]
    mono = AudioBuffer.from_numpy(array[0], 8000, channels_first=True)
    assert mono.to_numpy().tolist() == [[1], [2], [3]]
    with pytest.raises(ValueError, match=r"shape \(1025, 2\), which is 1025 channels"):
        AudioBuffer.from_numpy(np.zeros((1025, 2), np.int16), 8000, channels_first=True)


# Conversion of arrays


@pytest.mark.parametrize(
    ("array", "values"),
    [
        (np.array([-2.0, -1, -0.5, 0, 0.5, 2, np.nan]), [-1, -1, -0.5, 0, 0.5, 1, 0]),
        (np.array([-1, 0.5], np.float32), [-1, 0.5]),
        (np.array([-1, 0.5], np.float16), [-1, 0.5]),
        (np.array([0.5], np.longdouble), [0.5]),
        (np.array([-128, 64], np.int8), [-1, 0.5]),
        (np.array([0, 128, 192], np.uint8), [-1, 0, 0.5]),
        (np.array([0, 2**15], np.uint16), [-1, 0]),
        (np.array([0, 2**31], np.uint32), [-1, 0]),
        (np.array([-(2**15), 2**14], np.int16), [-1, 0.5]),
        (np.array([-(2**15), 2**14], ">i2"), [-1, 0.5]),
        (np.array([-(2**31), 2**30], np.int32), [-1, 0.5]),
    ],
    ids=lambda value: str(getattr(value, "dtype", "")),
)
@pytest.mark.parametrize(
    ("format_", "top"), [(AudioFormat.I16, 2**15), (AudioFormat.I32, 2**31)]
)
def test_from_numpy_converts_to_a_format(
    array: npt.NDArray[Any], values: list[float], format_: AudioFormat, top: int
) -> None:
    buffer = AudioBuffer.from_numpy(array, 8000, format=format_)
    assert buffer.format is format_
    expected = [min(int(value * top), top - 1) for value in values]
    assert buffer.to_numpy()[:, 0].tolist() == expected


def test_from_numpy_converts_to_floats_without_clamping() -> None:
    array = np.array([-2.0, 0.25, np.inf, 1e300])
    buffer = AudioBuffer.from_numpy(array, 8000, format=AudioFormat.F32)
    assert buffer.to_numpy()[:, 0].tolist() == [-2.0, 0.25, np.inf, np.inf]
    ints = np.array([2**14], np.int16)
    buffer = AudioBuffer.from_numpy(ints, 8000, format=AudioFormat.F32)
    assert buffer.to_numpy()[:, 0].tolist() == [0.5]


@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_integers_of_64_bits_are_not_scaled_into_silence(
    dtype: type[np.generic],
) -> None:
    array: Any = np.array([0, 12_000, 30_000], dtype)
    with pytest.raises(TypeError, match=r"astype\(numpy\.int16\)"):
        AudioBuffer.from_numpy(array, 8000, format=AudioFormat.I16)


def test_a_masked_array_has_to_be_filled() -> None:
    masked = np.ma.masked_array(np.zeros(4, np.float32), np.arange(4) == 1)
    with pytest.raises(TypeError, match=r"MaskedArray.*\.filled\(0\)"):
        AudioBuffer.from_numpy(masked, 8000)
    assert AudioBuffer.from_numpy(masked.filled(0), 8000).frames == 4


def test_from_numpy_refuses_other_formats_and_dtypes() -> None:
    with pytest.raises(ValueError, match=r"^format is .*; it must be F32, I16 or I32"):
        AudioBuffer.from_numpy(np.zeros(1), 8000, format=AudioFormat.UNSPECIFIED)
    for dtype in (np.bool_, np.complex64):
        array: Any = np.zeros(1, dtype)
        with pytest.raises(TypeError, match="and audio is floats or integers"):
            AudioBuffer.from_numpy(array, 8000, format=AudioFormat.I16)


# Samples that are left out or not finite


def test_num_samples_may_be_left_out() -> None:
    for format_, count in [
        (AudioFormat.I16, 4),
        (AudioFormat.F32, 2),
        (AudioFormat.UNSPECIFIED, 0),
        (AudioFormat.try_value(9), 0),
    ]:
        assert AudioBuffer(samples=bytes(8), format=format_).num_samples == count
    buffer = AudioBuffer(
        samples=bytes(8), sample_rate=8000, channels=2, format=AudioFormat.I16
    )
    assert bytes(buffer) == bytes(stereo())
    assert AudioBuffer(samples=bytearray(8), format=AudioFormat.I16).num_samples == 4
    assert AudioBuffer(format=AudioFormat.I16).num_samples == 0


def test_num_samples_that_is_given_is_kept() -> None:
    with pytest.raises(ValueError, match="has 8 bytes, and num_samples says 0 x 2"):
        stereo(num_samples=0).validate()
    decoded = AudioBuffer().parse(bytes(stereo(num_samples=0)))
    assert decoded.num_samples == 0


def test_a_partial_sample_is_refused() -> None:
    buffer = AudioBuffer(
        samples=bytes(9), sample_rate=8000, channels=1, format=AudioFormat.I16
    )
    with pytest.raises(ValueError, match="has 9 bytes, which is no whole"):
        buffer.validate()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_sample_that_is_not_finite_is_found(value: float) -> None:
    array = np.zeros((10, 2), np.float32)
    array[7, 1] = array[8, 0] = value
    buffer = AudioBuffer.from_numpy(array, 8000)
    buffer.validate()
    with pytest.raises(ValueError, match=f"has {value} at frame 7, channel 1$"):
        buffer.validate(finite=True)


@pytest.mark.parametrize("format_", FORMATS)
def test_finite_samples_are_valid(format_: AudioFormat) -> None:
    for frames in (0, 5):
        array = np.zeros((frames, 2), DTYPES[format_])
        AudioBuffer.from_numpy(array, 8000).validate(finite=True)
