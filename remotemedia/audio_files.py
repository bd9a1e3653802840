"""Audio files of every kind that libsndfile knows, read and written block by block.

libsndfile reads and writes through callbacks, and an exception in a callback is lost.
:class:`_File` keeps it, so that a disk that fails or is full is an ``OSError`` as it is
anywhere else.

This module knows arrays of samples; ``remotemedia.audio`` makes buffers of them. The
``soundfile`` package, which brings libsndfile, is an optional extra and loads a C
library, so it is imported on first use.
"""

from __future__ import annotations

import io
import os
import re
import struct
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from types import TracebackType

    import numpy.typing as npt
    from typing_extensions import Self

# libsndfile's names for the samples in a file, and the dtype to read each as: the
# smallest that loses nothing. Other samples (double, MP3, Vorbis) are read as float32.
_READ = {
    **dict.fromkeys(("PCM_S8", "PCM_U8", "PCM_16", "ALAC_16"), "int16"),
    **dict.fromkeys(("ALAW", "ULAW"), "int16"),
    # Their decoders produce 16 bits.
    **dict.fromkeys(("GSM610", "IMA_ADPCM", "MS_ADPCM"), "int16"),
    **dict.fromkeys(("PCM_24", "PCM_32", "ALAC_20", "ALAC_24", "ALAC_32"), "int32"),
}
_WRITTEN = {"float32": "FLOAT", "int16": "PCM_16", "int32": "PCM_32"}


class Chunk(Protocol):
    """What a writer needs of an ``AudioBuffer``."""

    sample_rate: int
    channels: int
    format: Any

    def to_numpy(self) -> npt.NDArray[Any]:
        """Return the samples with the shape ``(frames, channels)``."""
        ...


def read(
    source: str | os.PathLike[str] | IO[bytes],
    kind: str,
    block_frames: Callable[[int], int],
) -> Generator[tuple[npt.NDArray[Any], int], None, None]:
    """Read a file in blocks.

    Args:
        source: a path, or a file open for reading in binary mode. What cannot seek
            is read into memory first.
        kind: what the file must be, for the text of an error.
        block_frames: gives the number of frames in a block for a sample rate in Hz.

    Yields:
        Arrays of shape ``(frames, channels)``, and the sample rate. If the file has no
        audio, there is one array without frames.

    Raises:
        ImportError: the ``soundfile`` package is missing.
        OSError: the file cannot be read.
        TypeError: `source` is neither a path nor a file.
        ValueError: the file is not audio, or it is damaged.
    """
    soundfile = import_soundfile()

    class ForwardOnly(soundfile.SoundFile):  # type: ignore[misc, name-defined]  # it has no types
        def seekable(self) -> bool:
            # Otherwise soundfile would seek after every block, to where the file is
            # anyway, and an MP3 decoder loses its state when it does.
            return False

    with _opened(source) as raw:
        file = _File(raw)
        try:
            file.find_length()
            with ForwardOnly(file) as sound:
                dtype = _READ.get(sound.subtype, "float32")
                frames = block_frames(sound.samplerate)
                block = sound.read(frames, dtype=dtype, always_2d=True)
                is_first = True
                while is_first or len(block):
                    file.check()
                    yield block, sound.samplerate
                    is_first = False
                    block = sound.read(frames, dtype=dtype, always_2d=True)
                file.check()
        except soundfile.LibsndfileError as error:
            file.check()
            is_path = isinstance(source, (str, os.PathLike))
            name = source if is_path else getattr(source, "name", "the file")
            raise ValueError(
                f"{name} is not {kind} that can be read: {error.error_string}"
            ) from error


@contextmanager
def _opened(source: str | os.PathLike[str] | IO[bytes]) -> Iterator[IO[bytes]]:
    if not isinstance(source, (str, os.PathLike)):
        check_file(source, "read")
        yield io.BytesIO(source.read())
        return
    with Path(source).open("rb") as file:
        yield file if file.seekable() else io.BytesIO(file.read())


def check_file(file: object, method: str) -> None:
    """Check that an object is a file that can be read or written.

    Raises:
        TypeError: it does not have the method.
    """
    if not hasattr(file, method):
        advice = ""
        if isinstance(file, (bytes, bytearray, memoryview)):
            advice = "; io.BytesIO(data) makes a file of bytes"
        raise TypeError(
            "expected a path or a file open in binary mode, not "
            f"{type(file).__name__}{advice}"
        )


class AudioFileWriter:
    """Writes an audio file chunk by chunk, as the chunks come.

    The ending of the file's name decides its kind: ``.wav``, ``.flac``, ``.ogg``,
    ``.mp3`` or another that libsndfile writes. The first chunk decides the sample rate,
    the channels and the format, and creates the file. A kind of file that cannot store
    the samples as they are stores 24 bits (FLAC), or compresses them with loss (OGG,
    MP3).

    Use it with ``with``, or call :meth:`close`: before that the file is incomplete.

    Args:
        path: the file to write. A file that exists is overwritten.

    Raises:
        ImportError: the ``soundfile`` package is missing.
        ValueError: the ending is not one of an audio file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._soundfile = import_soundfile()
        self._path = Path(path)
        self._kind = self._path.suffix[1:].upper()
        # RAW files say nothing of their samples, so they could not be read again.
        if self._kind not in self._soundfile.available_formats().keys() - {"RAW"}:
            raise ValueError(
                f"{self._path.name!r} does not end as an audio file does: .wav, .flac, "
                ".ogg or .mp3, for example"
            )
        self._file: _File | None = None
        self._sound: Any = None
        self._shape: tuple[int, int, Any] = (0, 0, None)
        self._is_closed = False

    def write(self, chunk: Chunk) -> None:
        """Write the samples of an ``AudioBuffer`` to the end of the file.

        Raises:
            OSError: the file cannot be written.
            TypeError: the chunk is no ``AudioBuffer``.
            ValueError: the chunk's sample rate, channels or format is not that of the
                first chunk, or not possible in this kind of file; its fields do not
                fit together; or the writer is closed.
        """
        if self._is_closed:
            raise ValueError(f"the writer of {self._path} is closed")
        if not hasattr(chunk, "sample_rate"):
            raise TypeError(
                f"the chunk is {type(chunk).__name__}, not an AudioBuffer: "
                "AudioBuffer.from_numpy makes one of an array"
            )
        array = chunk.to_numpy()
        # libsndfile expects the machine's own byte order.
        array = array.astype(array.dtype.newbyteorder("="), copy=False)
        shape = (chunk.sample_rate, chunk.channels, chunk.format)
        if self._file is None:
            self._file = self._opened_for(*shape[:2], array.dtype.name)
            self._shape = shape
        elif shape != self._shape:
            raise ValueError(
                f"the chunk has {_described(shape)}, and the file has "
                f"{_described(self._shape)}"
            )
        if array.dtype.kind == "f" and self._sound.subtype.startswith("PCM"):
            import numpy as np

            # libsndfile lets values above full scale wrap round.
            array = np.nan_to_num(array).clip(-1, 1 - 2**-23)
        try:
            self._sound.write(array)
        finally:
            # It comes first: soundfile fails on it as well, but knows no reason.
            self._file.check()

    def _opened_for(self, rate: int, channels: int, dtype: str) -> _File:
        default = self._soundfile.default_subtype(self._kind)
        subtype = next(
            wanted
            for wanted in (_WRITTEN[dtype], "PCM_24", default)
            if self._soundfile.check_format(self._kind, wanted)
        )
        # Without a buffer, so that only write() fails if the disk is full.
        raw = self._path.open("wb", buffering=0)
        file = _File(raw)
        try:
            self._sound = self._soundfile.SoundFile(
                file, "w", rate, channels, subtype, format=self._kind
            )
        except self._soundfile.LibsndfileError as error:
            raw.close()
            raise ValueError(
                f"{self._path} cannot have {channels} channels at {rate} Hz: "
                f"{error.error_string}"
            ) from error
        return file

    def close(self) -> None:
        """Complete the file and close it. Without a chunk there is no file.

        Raises:
            OSError: the file cannot be written.
        """
        self._is_closed = True
        if self._file is None or self._sound.closed:
            return
        self._sound.close()
        self._file.close()
        self._file.check()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _described(shape: tuple[int, int, Any]) -> str:
    rate, channels, format_ = shape
    return f"{rate} Hz, {channels} channels, {format_!r}"


class _File:
    """A file for libsndfile: keeps exceptions, and shows another length of the audio.

    Args:
        file: a file open in binary mode that can seek.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._length_at: int | None = None
        self._error: BaseException | None = None
        self.seek, self.tell, self.close = file.seek, file.tell, file.close

    def check(self) -> None:
        """Raise what a callback of libsndfile raised.

        Raises:
            OSError: reading or writing failed.
        """
        if self._error is not None:
            raise self._error

    def read(self, count: int) -> bytes:
        """Read, for libsndfile."""
        start = self._file.tell()
        try:
            data = self._file.read(count)
        except BaseException as error:  # noqa: BLE001 - check() raises it
            self._error = error
            return b""
        at = self._length_at
        if at is None or not start - 4 < at < start + len(data):
            return data
        patched = bytearray(data)
        for position in range(max(at, start), min(at + 4, start + len(data))):
            patched[position - start] = 0xFF
        return bytes(patched)

    def write(self, data: bytes) -> int:
        """Write, for libsndfile."""
        left = memoryview(data)
        try:
            while left:
                left = left[self._file.write(left) :]
            return len(data)
        except BaseException as error:  # noqa: BLE001 - check() raises it
            self._error = error
            return 0

    def find_length(self) -> None:
        """Find out whether this is a WAV file that does not know its length.

        Who writes a WAV file into a pipe cannot return to its header, and leaves the
        length of the audio at 0 or 0xFFFFFFFF. libsndfile reads the latter to the end
        of the file. So 0 is shown as 0xFFFFFFFF, unless only other chunks of the file
        follow: then it is really empty.
        """
        head = self._file.read(12)
        if head[:4] == b"RIFF" and head[8:] == b"WAVE":
            end = self._file.seek(0, os.SEEK_END)
            position = 12
            while (chunk := self._chunk_at(position)) and chunk[0] != b"data":
                position = chunk[1]
            if (
                chunk
                and chunk[1] == position + 8
                and not self._has_chunks(chunk[1], end)
            ):
                self._length_at = position + 4
        self._file.seek(0)

    def _has_chunks(self, position: int, end: int) -> bool:
        """Whether there are chunks from a position to the end, and nothing else."""
        while position < end:
            chunk = self._chunk_at(position)
            if chunk is None or not re.fullmatch(rb"[ -~]{4}", chunk[0]):
                return False
            position = chunk[1]
        return position == end

    def _chunk_at(self, position: int) -> tuple[bytes, int] | None:
        """Return the name of the chunk at a position, and the position of the next."""
        self._file.seek(position)
        head = self._file.read(8)
        if len(head) < 8:
            return None
        name, length = struct.unpack("<4sI", head)
        return name, position + 8 + length + length % 2


def import_soundfile() -> Any:
    """Return the module ``soundfile``.

    Raises:
        ImportError: the package is missing. The message says how to install it.
    """
    try:
        import soundfile  # type: ignore[import-untyped]  # it has no type hints
    except ImportError as error:
        raise ImportError(
            "audio files need the soundfile package: pip install 'remotemedia[audio]'"
        ) from error
    return soundfile
