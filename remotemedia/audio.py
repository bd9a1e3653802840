"""The methods of ``AudioBuffer``: conversion to and from numpy and files, checks.

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
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, TypeAlias, cast

from remotemedia import audio_files, notebook

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    import numpy as np
    import numpy.typing as npt
    from typing_extensions import Self

SampleArray: TypeAlias = "npt.NDArray[np.float32 | np.int16 | np.int32]"
"""An array of samples in one of the contract's three formats."""

# The type hint of arrays that are passed in. It is wider than SampleArray because type
# checkers often infer float64 for a float32 array; at run time the dtype is checked.
AnyArray: TypeAlias = "npt.NDArray[np.floating[Any] | np.signedinteger[Any]]"

# numpy's name for the samples of each member of AudioFormat. The members' numbers are
# not repeated here: _sample_types finds the members by name.
_DTYPES = {"F32": "<f4", "I16": "<i2", "I32": "<i4"}

# libsndfile's names for the samples in a WAV file.
_WAV_WRITE = {"f4": "FLOAT", "i2": "PCM_16", "i4": "PCM_32"}

# libsndfile's limit.
_MAX_CHANNELS = 1024
# An array with more is nearly always a transposed one.
_MAX_LIKELY_CHANNELS = 32
# How much of a file is read at a time.
_BLOCK_FRAMES = 65536
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

    def _computed_num_samples(self) -> int:
        """The value of `num_samples` where the constructor does not get it."""
        # Without this, _sample_types would come back here.
        if not self.samples:
            return 0
        width = _sample_types(type(self)).widths.get(self.format)
        return len(self.samples) // width if width else 0

    @classmethod
    def from_numpy(
        cls,
        array: AnyArray,
        sample_rate: int,
        *,
        format: int | None = None,  # noqa: A002 - the field's name
        channels_first: bool | None = None,
    ) -> Self:
        """Make a buffer from a numpy array; the samples are copied once.

        Args:
            array: shape ``(frames,)`` for mono, or ``(frames, channels)``. Without
                `format`, the dtype decides the format: float32 (nominally -1.0 to
                1.0), int16 or int32. Any byte order and any strides are accepted.
            sample_rate: frames per second, in Hz.
            format: ``AudioFormat.F32``, ``I16`` or ``I32``, to convert floats and
                integers of up to 32 bits. Integers are scaled by the range of their
                dtype; the middle of an unsigned one is silence. For an integer format,
                values are rounded and clamped, and NaN becomes silence.
            channels_first: whether the shape is ``(channels, frames)``, as torch and
                librosa give it. It must be given if there seem to be more channels
                than frames, or more than 32 channels.

        Raises:
            TypeError: `array` is not an array or has another dtype, or
                `sample_rate` is not an int.
            ValueError: `array` has another shape, looks like channels first, has no
                channels or more than 1024; `format` is another value; or
                `sample_rate` is not between 1 and 4294967295.
        """
        import numpy as np

        if not isinstance(array, np.ndarray):
            raise TypeError(
                f"array must be a numpy array, not {type(array).__name__}; "
                "numpy.asarray(..., dtype=numpy.float32) makes one"
            )
        if isinstance(array, np.ma.MaskedArray):
            raise TypeError(
                "array is a MaskedArray, and audio has no mask; array.filled(0) has "
                "silence in its place"
            )
        if format is not None:
            dtype = _dtype_of(cls, "format", format)
        else:
            dtype = array.dtype.newbyteorder("<")
            if dtype.str not in _DTYPES.values():
                raise TypeError(
                    f"array has dtype {array.dtype}, and audio is float32, int16 or "
                    f"int32; {_dtype_advice(array.dtype)}"
                )
        if array.ndim not in (1, 2):
            raise ValueError(
                f"array has shape {array.shape}; it must be (frames,) or "
                "(frames, channels)"
            )
        shape = array.shape
        if channels_first and array.ndim == 2:
            array = array.T
        frames, channels = array.shape if array.ndim == 2 else (array.size, 1)
        if not 1 <= channels <= _MAX_CHANNELS:
            raise ValueError(
                f"array has shape {shape}, which is {channels} channels; "
                f"it must be (frames, channels), with 1 to {_MAX_CHANNELS} channels. "
                "Pass array.T or channels_first=True where it is (channels, frames)"
            )
        # An array without frames would be without channels if it were transposed.
        if (
            channels_first is None
            and frames > 0
            and channels > min(frames, _MAX_LIKELY_CHANNELS)
        ):
            raise ValueError(
                f"array has shape {shape}, which looks like (channels, frames). Pass "
                f"channels_first=True if it is, or channels_first=False if it is "
                f"{frames} frames of {channels} channels"
            )
        return cls(
            samples=_converted(array, dtype).tobytes(),
            sample_rate=_checked_int("sample_rate", sample_rate, 1, _MAX_UINT32),
            channels=channels,
            format=_sample_types(cls).formats[dtype.str],
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
        dtype = _dtype_of(type(self), "target", target)
        array = self.to_numpy()
        if array.dtype == dtype:
            return self
        return self.from_numpy(
            array, self.sample_rate, format=target, channels_first=False
        )

    @classmethod
    def from_file(cls, source: str | os.PathLike[str] | BinaryIO) -> Self:
        """Read a whole audio file: WAV, FLAC, OGG, MP3 or another of libsndfile's.

        Samples of 16 bits or fewer become I16, those of 24 and 32 bits I32 (24 bits
        fill the upper three bytes), and floats F32. Doubles are rounded to F32. What
        GSM 6.10 and ADPCM compressed becomes I16, what MP3 and Vorbis did F32.

        A WAV file whose header does not give its length is read to its end.

        Args:
            source: a path, or a file open for reading in binary mode.

        Raises:
            ImportError: the ``soundfile`` package is missing.
            OSError: the file cannot be read.
            TypeError: `source` is neither a path nor a file.
            ValueError: it is not an audio file, or it is damaged.
        """
        return cls._from_file(source, "an audio file")

    @classmethod
    def from_wav(cls, source: str | os.PathLike[str] | BinaryIO) -> Self:
        """Read a whole WAV file of any sample rate and number of channels.

        It does the same as :meth:`from_file`, whose arguments and errors it has.
        """
        return cls._from_file(source, "a WAV file")

    @classmethod
    def _from_file(cls, source: str | os.PathLike[str] | BinaryIO, kind: str) -> Self:
        blocks = [
            cls.from_numpy(block, rate, channels_first=False)
            for block, rate in audio_files.read(source, kind, lambda _: _BLOCK_FRAMES)
        ]
        return cls(
            samples=b"".join(block.samples for block in blocks),
            sample_rate=blocks[0].sample_rate,
            channels=blocks[0].channels,
            format=blocks[0].format,
            num_samples=sum(block.num_samples for block in blocks),
        )

    @classmethod
    def stream_file(
        cls, path: str | os.PathLike[str], chunk_ms: float = 100
    ) -> Generator[Self, None, None]:
        """Read an audio file chunk by chunk, as the chunks are taken.

        Only one chunk is in memory at a time, unless the path is that of a pipe. The
        file is opened for the first chunk, and closed after the last one, or by
        ``close`` of the iterator. An empty file has no chunks.

        Args:
            path: the file, of any kind that :meth:`from_file` reads.
            chunk_ms: the length of a chunk in milliseconds. A chunk has at least one
                frame, and the last one may be shorter than the others.

        Raises:
            ImportError: the ``soundfile`` package is missing.
            OSError: the file cannot be read. Like the other two, it is raised when
                a chunk is taken.
            ValueError: `chunk_ms` is not a positive number, which is raised at once;
                or it is not an audio file, or it is damaged.
        """
        if isinstance(chunk_ms, str) or not 0 < chunk_ms < math.inf:
            raise ValueError(f"chunk_ms is {chunk_ms!r}; it must be a positive number")
        return cls._stream_file(path, chunk_ms)

    @classmethod
    def _stream_file(
        cls, path: str | os.PathLike[str], chunk_ms: float
    ) -> Generator[Self, None, None]:
        blocks = audio_files.read(
            path, "an audio file", lambda rate: max(1, round(rate * chunk_ms / 1000))
        )
        with closing(blocks):
            for block, rate in blocks:
                if len(block):
                    yield cls.from_numpy(block, rate, channels_first=False)

    @staticmethod
    def file_writer(path: str | os.PathLike[str]) -> audio_files.AudioFileWriter:
        """Return a writer that takes chunks as they come; use it with ``with``.

        Args:
            path: the file to write. Its ending decides the kind of file: ``.wav``,
                ``.flac``, ``.ogg``, ``.mp3`` or another of libsndfile's.

        Raises:
            ImportError: the ``soundfile`` package is missing.
            ValueError: the ending is not one of an audio file.
        """
        return audio_files.AudioFileWriter(path)

    def to_wav(self, target: str | os.PathLike[str] | BinaryIO) -> None:
        """Write a WAV file: 16-bit PCM for I16, 32-bit PCM for I32, float for F32.

        Args:
            target: a path, or a file open for writing in binary mode.

        Raises:
            ImportError: the ``soundfile`` package is missing.
            OSError: the file cannot be written.
            TypeError: `target` is neither a path nor a file.
            ValueError: `target` ends as another kind of file does, or the fields do not
                fit together; see :meth:`validate`.
        """
        soundfile = audio_files.import_soundfile()
        if not isinstance(target, (str, os.PathLike)):
            audio_files.check_file(target, "write")
        elif Path(target).suffix.lower() in (".flac", ".ogg", ".mp3", ".aiff"):
            raise ValueError(
                f"{Path(target).name!r} would be a WAV file of another name; "
                "AudioBuffer.file_writer writes other kinds of files"
            )
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

    def validate(self, *, finite: bool = False) -> None:
        """Check that the fields fit together, as the contract demands.

        Args:
            finite: whether to check as well that no sample is NaN or infinite, which
                takes a look at every sample.

        Raises:
            TypeError: `samples` is not bytes, or a number is not an int.
            ValueError: `format` is none of F32, I16 and I32; `sample_rate` or
                `channels` is 0; `samples` is no whole number of samples, or not
                `num_samples` of them; `num_samples` is not a multiple of
                `channels`; or a sample is not finite. The message names the field,
                and the position of the first sample that is not finite.
        """
        width = _sample_types(type(self)).widths.get(self.format)
        if width is None:
            raise ValueError(
                f"AudioBuffer.format is {self.format!r}; it must be F32, I16 or I32 "
                "of AudioFormat"
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
        if length % width:
            raise ValueError(
                f"AudioBuffer.samples has {length} bytes, which is no whole number of "
                f"{width}-byte samples, as {self.format!r} has them"
            )
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
        if finite:
            self._check_finite()

    def _check_finite(self) -> None:
        import numpy as np

        array = self.to_numpy()
        is_finite = np.isfinite(array)
        if not is_finite.all():
            frame, channel = divmod(int(is_finite.argmin()), self.channels)
            raise ValueError(
                f"AudioBuffer.samples has {array[frame, channel]} at frame {frame}, "
                f"channel {channel}"
            )

    def _repr_html_(self) -> str:
        """Show the audio in a notebook: what it is, its waveform, and a player."""
        try:
            array = self.to_numpy()
        except (TypeError, ValueError) as error:
            return notebook.text(f"{self!r}: {error}")
        return notebook.audio(array, self.sample_rate)


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


def _dtype_of(cls: type[AudioBufferMixin], name: str, format_: int) -> np.dtype[Any]:
    import numpy as np

    found = _sample_types(cls).dtypes.get(format_)
    if found is None:
        raise ValueError(
            f"{name} is {format_!r}; it must be F32, I16 or I32 of AudioFormat"
        )
    return np.dtype(found)


def _converted(array: npt.NDArray[Any], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Convert samples of any float or integer dtype to one of a format."""
    import numpy as np

    if array.dtype.newbyteorder("<") == dtype:
        return array.astype(dtype, copy=False)
    if array.dtype.kind not in "fiu":
        raise TypeError(
            f"array has dtype {array.dtype}, and audio is floats or integers"
        )
    if array.dtype.kind in "iu" and array.dtype.itemsize == 8:
        # Scaled by its range, audio of 16 bits would become silence.
        raise TypeError(
            f"array has dtype {array.dtype}, whose range no audio uses: "
            "array.astype(numpy.int16) converts it, if its values are 16-bit"
        )
    # Of the floats, only float64 can hold every int32. numpy would warn of an invalid
    # value where it casts a signalling NaN, and of a float64 too large for float32.
    with np.errstate(invalid="ignore", over="ignore"):
        values = array.astype(np.float64)
        if array.dtype.kind in "iu":
            if array.dtype.kind == "u":
                values -= _full_scale(array.dtype)
            values /= _full_scale(array.dtype)
        if dtype.kind == "i":
            values *= _full_scale(dtype)
            limits = np.iinfo(dtype)
            values = np.clip(np.rint(values), limits.min, limits.max)
            values = np.nan_to_num(values, nan=0.0)
        return values.astype(dtype)


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
