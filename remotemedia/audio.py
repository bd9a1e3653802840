"""The methods of ``AudioBuffer``: conversion to and from numpy and WAV files, checks.

The generated message ``AudioBuffer`` inherits from :class:`AudioBufferMixin`. The
message has the fields: ``samples`` are interleaved and little-endian, and
``num_samples`` counts the samples of all channels. A *frame* is one sample of each
channel.

The generated code imports this module, so this module imports nothing generated. It
imports numpy only inside the methods that need an array, because numpy takes longer to
import than the whole rest of the library.
"""

from __future__ import annotations

import io
import math
import operator
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, TypeAlias, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    import numpy.typing as npt
    from typing_extensions import Self

SampleArray: TypeAlias = "npt.NDArray[np.float32 | np.int16 | np.int32]"
"""An array of samples in one of the contract's three formats."""

# The type hint of arrays that are passed in. It is wider than SampleArray because type
# checkers often infer float64 for a float32 array; at run time the dtype is checked.
_AnyArray: TypeAlias = "npt.NDArray[np.floating[Any] | np.signedinteger[Any]]"

# numpy's name for the samples of each member of AudioFormat. The members' numbers are
# not repeated here: _sample_types finds the members by name.
_DTYPES = {"F32": "<f4", "I16": "<i2", "I32": "<i4"}

# libsndfile's names for the samples in a WAV file, and the dtype to read each as: the
# smallest that loses nothing. Other samples (compressed, double) are read as float32.
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

# libsndfile's limit. An array with more is nearly always a transposed one.
_MAX_CHANNELS = 1024
_MAX_UINT32 = 2**32 - 1

# The names of boolean types: Python's and numpy's, whose name changed in numpy 2.0.
_BOOLS = ("bool", "bool_")


class AudioBufferMixin:
    """The methods of ``AudioBuffer``; the message itself defines the fields."""

    if TYPE_CHECKING:
        samples: bytes
        sample_rate: int
        channels: int
        num_samples: int
        # The message narrows this to AudioFormat, which cannot be named here.
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
        """Make a buffer from a numpy array; the samples are copied once.

        Args:
            array: shape ``(frames,)`` for mono, or ``(frames, channels)``. The
                dtype decides the format: float32 (nominally -1.0 to 1.0), int16 or
                int32. Any byte order and any strides are accepted.
            sample_rate: frames per second, in Hz.

        Raises:
            TypeError: `array` is not an array or has another dtype, or
                `sample_rate` is not an int.
            ValueError: `array` has another shape, no channels or more than 1024, or
                `sample_rate` is not between 1 and 4294967295.
        """
        import numpy as np

        if not isinstance(array, np.ndarray):
            raise TypeError(
                f"array must be a numpy array, not {type(array).__name__}; "
                "numpy.asarray(..., dtype=numpy.float32) makes one"
            )
        dtype = array.dtype.newbyteorder("<")
        format_ = _sample_types(cls).formats.get(dtype.str)
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
        return cls(
            samples=array.astype(dtype, copy=False).tobytes(),
            sample_rate=_checked_int("sample_rate", sample_rate, 1, _MAX_UINT32),
            channels=channels,
            format=format_,
            num_samples=array.size,
        )

    def to_numpy(self) -> SampleArray:
        """Return the samples as a read-only array that shares memory with `samples`.

        Returns:
            An array of shape ``(frames, channels)`` and dtype ``<f4``, ``<i2`` or
            ``<i4``, depending on the format. ``.copy()`` gives a writable array.

        Raises:
            ValueError: the fields do not fit together; see :meth:`validate`.
        """
        import numpy as np

        self.validate()
        dtype = _sample_types(type(self)).dtypes[self.format]
        array = np.frombuffer(self.samples, dtype)
        array.flags.writeable = False
        return array.reshape(-1, self.channels)

    def to_float32(self) -> npt.NDArray[np.float32]:
        """Return the samples as floats, nominally -1.0 to 1.0, in a new array.

        The contract scales integers: I16 is divided by 32768, I32 by 2147483648.

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
        """Return the same audio in another format.

        Samples are scaled as in :meth:`to_float32`. On conversion to an integer
        format, values are rounded to the nearest integer and clamped to the range of
        the format, and NaN becomes silence.

        Args:
            target: ``AudioFormat.F32``, ``I16`` or ``I32``.

        Returns:
            A new buffer, or this one if it has that format already.

        Raises:
            ValueError: `target` is another format, or the fields do not fit
                together; see :meth:`validate`.
        """
        import numpy as np

        dtypes = _sample_types(type(self)).dtypes
        if target not in dtypes:
            raise ValueError(f"target is {target!r}; it must be F32, I16 or I32")
        dtype = np.dtype(dtypes[target])
        array = self.to_numpy()
        if array.dtype == dtype:
            return self
        # Of the floats, only float64 can hold every int32. numpy would warn of an
        # invalid value where it casts a signalling NaN.
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
        """Read a whole WAV file of any sample rate and number of channels.

        Samples of 16 bits or fewer become I16, those of 24 and 32 bits I32 (24 bits
        fill the upper three bytes), and floats F32. Doubles are rounded to F32.

        Args:
            source: a path, or a file open for reading in binary mode.

        Raises:
            ImportError: the ``soundfile`` package is missing.
            OSError: the file cannot be read.
            ValueError: it is not a WAV file, or it is damaged.
        """
        soundfile = _import_soundfile()
        # libsndfile would report a missing file as "System error", and needs a file
        # that can seek, so the bytes are read here.
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
        # libsndfile expects the machine's own byte order.
        native = array.astype(array.dtype.newbyteorder("="), copy=False)
        soundfile.write(wav, native, self.sample_rate, subtype, format="WAV")
        if isinstance(target, (str, os.PathLike)):
            Path(target).write_bytes(wav.getbuffer())
        else:
            target.write(wav.getbuffer())

    def chunks(self, frames: int) -> Iterator[Self]:
        """Cut the audio into buffers of `frames` frames; the last may be shorter.

        Nothing is lost, repeated or padded. An empty buffer has no chunks.

        Args:
            frames: the length of a chunk in frames; ``sample_rate // 10`` is 100 ms.

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
        width = _sample_types(type(self)).widths[self.format]
        samples = bytes(self.samples)  # copies only what is not bytes already
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
        """The length in frames: `num_samples` divided by `channels`.

        Raises:
            TypeError: `channels` is not an int.
            ValueError: `channels` is 0.
        """
        channels = self.channels
        # This property, duration and validate run for every chunk of a stream, so they
        # call _checked_int only for a value that is not plainly right.
        if not (type(channels) is int and 0 < channels <= _MAX_UINT32):
            channels = _checked_int("AudioBuffer.channels", channels, 1, _MAX_UINT32)
        return self.num_samples // channels

    @property
    def duration(self) -> float:
        """The length in seconds.

        Raises:
            TypeError: `channels` or `sample_rate` is not an int.
            ValueError: `channels` or `sample_rate` is 0.
        """
        channels, rate = self.channels, self.sample_rate
        if not (
            type(channels) is type(rate) is int
            and 0 < channels <= _MAX_UINT32
            and 0 < rate <= _MAX_UINT32
        ):
            channels = _checked_int("AudioBuffer.channels", channels, 1, _MAX_UINT32)
            rate = _checked_int("AudioBuffer.sample_rate", rate, 1, _MAX_UINT32)
        return self.num_samples // channels / rate

    def validate(self) -> None:
        """Check that the fields fit together, as the contract demands.

        Raises:
            TypeError: `samples` is not bytes, or a number is not an int.
            ValueError: `format` is none of F32, I16 and I32; `sample_rate` or
                `channels` is 0; the length of `samples` is not `num_samples` times
                the size of one sample; or `num_samples` is not a multiple of
                `channels`. The message names the field.
        """
        width = _sample_types(type(self)).widths.get(self.format)
        if width is None:
            raise ValueError(
                f"AudioBuffer.format is {self.format!r}; it must be F32, I16 or I32"
            )
        rate, channels = self.sample_rate, self.channels
        num_samples = self.num_samples
        if not (
            type(rate) is type(channels) is type(num_samples) is int
            and 0 < rate <= _MAX_UINT32
            and 0 < channels <= _MAX_UINT32
            and num_samples >= 0
        ):
            _checked_int("AudioBuffer.sample_rate", rate, 1, _MAX_UINT32)
            channels = _checked_int("AudioBuffer.channels", channels, 1, _MAX_UINT32)
            num_samples = _checked_int("AudioBuffer.num_samples", num_samples, 0)
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


class _SampleTypes(NamedTuple):
    """How the samples of each format are stored."""

    formats: dict[str, Any]
    """The member of AudioFormat, by the dtype of its samples."""
    dtypes: dict[int, str]
    """The dtype of the samples, by format."""
    widths: dict[int, int]
    """The size of one sample in bytes, by format."""


def _find_sample_types(cls: type[AudioBufferMixin]) -> _SampleTypes:
    # The enum is known here only as the type of the field's default.
    audio_format = type(cls().format)
    formats = {dtype: getattr(audio_format, name) for name, dtype in _DTYPES.items()}
    return _SampleTypes(
        formats=formats,
        dtypes={member: dtype for dtype, member in formats.items()},
        widths={member: int(dtype[-1]) for dtype, member in formats.items()},
    )


# mypy does not see that the class is hashable, so the type of the cached function is
# given here.
_sample_types = cast(
    "Callable[[type[AudioBufferMixin]], _SampleTypes]", cache(_find_sample_types)
)


def _full_scale(dtype: np.dtype[Any]) -> int:
    """The integer that represents 1.0: the type's largest integer plus one."""
    return 1 << 8 * dtype.itemsize - 1


def _checked_int(name: str, value: int, least: int, most: float = math.inf) -> int:
    # To Python, True is an int.
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
    # Imported on first use: the package is an optional extra and loads a C library.
    try:
        import soundfile  # type: ignore[import-untyped]  # it has no type hints
    except ImportError as error:
        raise ImportError(
            "WAV files need the soundfile package: pip install 'remotemedia[audio]'"
        ) from error
    return soundfile
