"""What an AudioBuffer can do: numpy, WAV files, chunks and checks.

The generated message ``AudioBuffer`` has :class:`AudioBufferMixin` as a base. Its
fields come from the contract: ``samples`` are interleaved and little-endian, and
``num_samples`` counts all channels. A *frame* is one sample of every channel.

This module knows numpy and nothing of the generated code, which stands on it. numpy
takes longer to import than all else, so it is imported where there is an array.
"""

from __future__ import annotations

import io
import math
import operator
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import numpy.typing as npt
    from typing_extensions import Self

SampleArray: TypeAlias = "npt.NDArray[np.float32 | np.int16 | np.int32]"
"""An array of samples in one of the three formats that the contract knows."""

# What may be passed in. Wider than SampleArray, because numpy's type hints take
# half a float32 array for a float64 one; at run time the dtype is what it is.
_AnyArray: TypeAlias = "npt.NDArray[np.floating[Any] | np.signedinteger[Any]]"

# AudioFormat's numbers on the wire, with numpy's names for the samples and the bytes
# that one takes. The enum itself is generated code, a floor above this module.
_DTYPES = {1: "<f4", 2: "<i2", 3: "<i4"}  # F32, I16, I32
_WIDTHS = {1: 4, 2: 2, 3: 4}
_FORMATS = {dtype: number for number, dtype in _DTYPES.items()}

# How libsndfile names the samples in a WAV file. Reading takes the smallest format
# that loses nothing; what is not listed (compressed or double) becomes float32.
_WAV_READ = {
    "PCM_S8": "int16",
    "PCM_U8": "int16",
    "PCM_16": "int16",
    "ALAW": "int16",
    "ULAW": "int16",
    "PCM_24": "int32",
    "PCM_32": "int32",
}
_WAV_WRITE = {"f4": "FLOAT", "i2": "PCM_16", "i4": "PCM_32"}

# libsndfile's limit. More is nearly always an array the wrong way round.
_MAX_CHANNELS = 1024
_MAX_UINT32 = 2**32 - 1

# What types of truth values are called: Python's, and numpy's before 2.0 and since.
_BOOLS = ("bool", "bool_")


class AudioBufferMixin:
    """The methods of ``AudioBuffer``, over the fields that the message defines."""

    if TYPE_CHECKING:
        samples: bytes
        sample_rate: int
        channels: int
        num_samples: int
        # AudioFormat in the message. Any type that could be named here would be
        # an override that type checkers refuse.
        format: Any

        def __init__(
            self,
            *,
            samples: bytes = ...,
            sample_rate: int = ...,
            channels: int = ...,
            format: Any = ...,  # noqa: A002 - the field's name
            num_samples: int = ...,
        ) -> None: ...

    @classmethod
    def from_numpy(cls, array: _AnyArray, sample_rate: int) -> Self:
        """Take the samples of a numpy array, copied once.

        Args:
            array: shape ``(frames,)`` for mono, or ``(frames, channels)``. The
                dtype decides the format: float32, nominally -1.0 to 1.0, int16 or
                int32. Any byte order and any strides will do.
            sample_rate: frames per second, in Hz.

        Raises:
            TypeError: `array` is not an array, its dtype is another one, or
                `sample_rate` is not an int.
            ValueError: the shape is another one, there are no or more than 1024
                channels, or the rate is not 1 to 4294967295.
        """
        import numpy as np

        if not isinstance(array, np.ndarray):
            raise TypeError(
                f"array must be a numpy array, not {type(array).__name__}; "
                "numpy.asarray(..., dtype=numpy.float32) makes one"
            )
        dtype = array.dtype.newbyteorder("<")
        format_ = _FORMATS.get(dtype.str)
        if format_ is None:
            raise TypeError(
                f"array has dtype {array.dtype}, and audio is float32, int16 or "
                f"int32; {_dtype_advice(array.dtype)}"
            )
        if array.ndim not in (1, 2):
            raise ValueError(
                f"array has shape {array.shape}; it must be (frames,) or "
                "(frames, channels)"
            )
        channels = 1 if array.ndim == 1 else array.shape[1]
        if not 1 <= channels <= _MAX_CHANNELS:
            raise ValueError(
                f"array has shape {array.shape}, which is {channels} channels; "
                f"it must be (frames, channels), with 1 to {_MAX_CHANNELS} channels. "
                "Pass array.T where it is (channels, frames)"
            )
        buffer = cls(
            samples=array.astype(dtype, copy=False).tobytes(),
            sample_rate=_checked_int("sample_rate", sample_rate, 1, _MAX_UINT32),
            channels=channels,
            num_samples=array.size,
        )
        # The enum is known here only as the type of the field's default.
        buffer.format = type(buffer.format)(format_)
        return buffer

    def to_numpy(self) -> SampleArray:
        """The samples as a read-only array that shares memory with `samples`.

        Returns:
            An array of shape ``(frames, channels)`` and dtype ``<f4``, ``<i2`` or
            ``<i4``, as the format says. ``.copy()`` makes one that can be changed.

        Raises:
            ValueError: the fields do not fit together; see :meth:`validate`.
        """
        import numpy as np

        self.validate()
        array = np.frombuffer(self.samples, _DTYPES[self.format])
        array.flags.writeable = False
        return array.reshape(-1, self.channels)

    def to_float32(self) -> npt.NDArray[np.float32]:
        """The samples as floats, nominally -1.0 to 1.0, in a new array.

        Integers are divided as the contract says: I16 by 32768, I32 by 2147483648.

        Returns:
            A writable array of shape ``(frames, channels)`` and dtype float32.

        Raises:
            ValueError: the fields do not fit together; see :meth:`validate`.
        """
        import numpy as np

        array = self.to_numpy()
        floats = array.astype(np.float32)
        if array.dtype.kind == "i":
            floats *= np.float32(1 / _full_scale(array.dtype))
        return floats

    def to_format(self, target: int) -> Self:
        """The same audio in another format.

        Integers are full scale at 1.0, as in :meth:`to_float32`. Towards an integer
        format values are rounded to the nearest and clamped to its range, and NaN
        becomes silence.

        Args:
            target: ``AudioFormat.F32``, ``I16`` or ``I32``.

        Returns:
            A new buffer, or this one where it has that format already.

        Raises:
            ValueError: `target` is another format, or the fields do not fit
                together; see :meth:`validate`.
        """
        import numpy as np

        if target not in _DTYPES:
            raise ValueError(f"target is {target!r}; it must be F32, I16 or I32")
        dtype = np.dtype(_DTYPES[target])
        array = self.to_numpy()
        if array.dtype == dtype:
            return self
        # Only float64 holds every int32. A signalling NaN is "invalid" in a cast.
        with np.errstate(invalid="ignore"):
            values = array.astype(np.float64)
        if array.dtype.kind == "i":
            values /= _full_scale(array.dtype)
        if dtype.kind == "i":
            values *= _full_scale(dtype)
            limits = np.iinfo(dtype)
            values = np.clip(np.rint(values), limits.min, limits.max)
            values = np.nan_to_num(values, nan=0.0)
        return self.from_numpy(values.astype(dtype), self.sample_rate)

    @classmethod
    def from_wav(cls, source: str | os.PathLike[str] | BinaryIO) -> Self:
        """Read a whole WAV file, of any sample rate and number of channels.

        16-bit and smaller samples become I16, 24-bit and 32-bit ones I32 (24 bits
        in the upper three bytes), floats F32. Doubles are rounded to F32.

        Args:
            source: a path, or a file open for reading in binary mode.

        Raises:
            ImportError: the ``soundfile`` package is missing.
            OSError: the file cannot be read.
            ValueError: it is not a WAV file, or a damaged one.
        """
        soundfile = _import_soundfile()
        # Read here rather than by libsndfile, which reports a missing file as
        # "System error" and needs one that can seek.
        if isinstance(source, (str, os.PathLike)):
            data, name = Path(source).read_bytes(), str(source)
        else:
            data, name = source.read(), getattr(source, "name", "the file")
        try:
            with soundfile.SoundFile(io.BytesIO(data)) as file:
                dtype = _WAV_READ.get(file.subtype, "float32")
                array = file.read(dtype=dtype, always_2d=True)
                return cls.from_numpy(array, file.samplerate)
        except soundfile.LibsndfileError as error:
            raise ValueError(
                f"{name} is not a WAV file that can be read: {error.error_string}"
            ) from error

    def to_wav(self, target: str | os.PathLike[str] | BinaryIO) -> None:
        """Write a WAV file: 16-bit PCM for I16, 32-bit PCM for I32, float for F32.

        Args:
            target: a path, or a file open for writing in binary mode.

        Raises:
            ImportError: the ``soundfile`` package is missing.
            OSError: the file cannot be written.
            ValueError: the fields do not fit together; see :meth:`validate`.
        """
        soundfile = _import_soundfile()
        array = self.to_numpy()
        wav = io.BytesIO()
        subtype = _WAV_WRITE[array.dtype.str[1:]]
        # libsndfile wants the machine's own byte order.
        native = array.astype(array.dtype.newbyteorder("="), copy=False)
        soundfile.write(wav, native, self.sample_rate, subtype, format="WAV")
        if isinstance(target, (str, os.PathLike)):
            Path(target).write_bytes(wav.getbuffer())
        else:
            target.write(wav.getbuffer())

    def chunks(self, frames: int) -> Iterator[Self]:
        """Cut the audio into buffers of `frames` frames; the last may be shorter.

        Together the chunks are the audio: nothing is lost, repeated or padded. An
        empty buffer has no chunks.

        Args:
            frames: length of a chunk in frames, for example ``sample_rate // 10``
                for 100 ms.

        Raises:
            TypeError: `frames` is not an int.
            ValueError: `frames` is less than 1, or the fields do not fit together;
                see :meth:`validate`.
        """
        frames = _checked_int("frames", frames, 1)
        self.validate()
        return self._chunks(frames)

    def _chunks(self, frames: int) -> Iterator[Self]:
        step = frames * self.channels
        width = _WIDTHS[self.format]
        samples = bytes(self.samples)  # no copy, unless they are only bytes-like
        for start in range(0, self.num_samples, step):
            count = min(step, self.num_samples - start)
            yield type(self)(
                samples=samples[start * width : (start + count) * width],
                sample_rate=self.sample_rate,
                channels=self.channels,
                format=self.format,
                num_samples=count,
            )

    @property
    def frames(self) -> int:
        """Length in frames: `num_samples` by `channels`.

        Raises:
            ValueError: `channels` is 0.
        """
        return self.num_samples // self._checked_field("channels")

    @property
    def duration(self) -> float:
        """Length in seconds.

        Raises:
            ValueError: `channels` or `sample_rate` is 0.
        """
        return self.frames / self._checked_field("sample_rate")

    def validate(self) -> None:
        """Check that the fields fit together, as the contract demands.

        Raises:
            TypeError: `samples` is not bytes.
            ValueError: `format` is none of F32, I16 and I32; `sample_rate` or
                `channels` is 0; the length of `samples` is not `num_samples` times
                the bytes of one sample; or `num_samples` is not a whole number of
                frames. The message names the field.
        """
        width = _WIDTHS.get(self.format)
        if width is None:
            raise ValueError(
                f"AudioBuffer.format is {self.format!r}; it must be F32, I16 or I32"
            )
        self._checked_field("sample_rate")
        channels = self._checked_field("channels")
        num_samples = self._checked_field("num_samples", 0, math.inf)
        samples = self.samples
        if not isinstance(samples, (bytes, bytearray, memoryview)):
            raise TypeError(
                f"AudioBuffer.samples is {type(samples).__name__}; it must be "
                "bytes. AudioBuffer.from_numpy takes an array"
            )
        length = samples.nbytes if isinstance(samples, memoryview) else len(samples)
        if length != num_samples * width:
            raise ValueError(
                f"AudioBuffer.samples has {length} bytes, and num_samples says "
                f"{num_samples} x {width}; num_samples counts the samples "
                "of all channels"
            )
        if num_samples % channels:
            raise ValueError(
                f"AudioBuffer.num_samples is {num_samples}, which is not a multiple "
                f"of channels, {channels}; it counts the samples of all channels"
            )

    def _checked_field(
        self, field: str, least: int = 1, most: float = _MAX_UINT32
    ) -> int:
        value = getattr(self, field)
        # Every chunk on a stream comes by here.
        if type(value) is int and least <= value <= most:
            return value
        return _checked_int(f"AudioBuffer.{field}", value, least, most)


def _full_scale(dtype: np.dtype[Any]) -> int:
    """The integer that stands for 1.0: one more than the largest of the type."""
    return 1 << 8 * dtype.itemsize - 1


def _checked_int(name: str, value: int, least: int, most: float = math.inf) -> int:
    # True is an int to Python, and no rate or count to anyone.
    if type(value).__name__ in _BOOLS or not hasattr(value, "__index__"):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    number = operator.index(value)
    if number < least:
        raise ValueError(f"{name} is {number}; it must be at least {least}")
    if number > most:
        raise ValueError(f"{name} is {number}; it must be at most {most}")
    return number


def _dtype_advice(dtype: np.dtype[Any]) -> str:
    if dtype.kind == "f":
        return "array.astype(numpy.float32) converts it"
    if dtype.str == "|u1":
        return "(array.astype(numpy.float32) - 128) / 128 converts 8-bit audio"
    if dtype.kind in "iu":
        return "array.astype(numpy.int16) converts it, if its values are 16-bit"
    return "convert it to one of these"


def _import_soundfile() -> Any:
    # On first use: the package is an extra, and loads a C library.
    try:
        import soundfile  # type: ignore[import-untyped]  # it has no type hints
    except ImportError as error:
        raise ImportError(
            "WAV files need the soundfile package: pip install 'remotemedia[audio]'"
        ) from error
    return soundfile
