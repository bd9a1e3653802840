"""The reference nodes for audio: sample rate, sample format, voice activity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from remotemedia.testing.limits import check_samples
from remotemedia.testing.node import (
    Node,
    NodeCall,
    NodeOutput,
    Parameter,
    WrongKindError,
)
from remotemedia.testing.nodes import is_number
from remotemedia.v1 import AudioBuffer, AudioFormat

_FORMATS = {
    "F32": AudioFormat.F32,
    "I16": AudioFormat.I16,
    "I32": AudioFormat.I32,
}

# The energy of silence: JSON cannot represent minus infinity.
_SILENCE_DB = -120.0

_WINDOWS_PER_SECOND = 50


def _is_rate(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**32


def _is_format(value: object) -> bool:
    return isinstance(value, str) and value.removeprefix("AUDIO_FORMAT_") in _FORMATS


class AudioResample(Node):
    """Changes the sample rate, with soxr's high quality.

    The chunks of a session are resampled as one continuous signal. The filter looks
    ahead by 40 ms from 44.1 or 48 kHz to 16 kHz, and by up to 160 ms between other
    common rates, so the first results are shorter by that much, or empty. The filter
    returns the rest at the last call. A chunk with another rate, number of channels or
    format than the chunk before it begins a new signal; the filter then drops the rest
    of the old one.
    """

    parameters: ClassVar[Sequence[Parameter] | None] = (
        Parameter("target_sample_rate", "a positive integer", _is_rate, unit="Hz"),
    )

    def __init__(self, params: Mapping[str, Any]) -> None:
        super().__init__(params)
        self._target_rate: int = self.values["target_sample_rate"]
        self._soxr = _import_soxr()
        self._signal: tuple[int, int, np.dtype[Any]] | None = None
        self._stream: Any = None

    def process(self, call: NodeCall) -> AudioBuffer:
        """Resample one chunk."""
        return self._resample(_audio(call), call, is_last=False)

    def process_last(self, call: NodeCall) -> AudioBuffer | None:
        """Resample the last audio, and return with it what the filter holds back."""
        if call.audio is not None or call.sequence is None:
            return self._resample(_audio(call), call, is_last=True)
        if self._signal is None:
            return None
        _, channels, dtype = self._signal
        rest = self._stream.resample_chunk(np.empty((0, channels), dtype), last=True)
        return AudioBuffer.from_numpy(rest, self._target_rate)

    def _resample(
        self, audio: AudioBuffer, call: NodeCall, is_last: bool
    ) -> AudioBuffer:
        if audio.sample_rate == self._target_rate:
            return audio
        ratio = self._target_rate / audio.sample_rate
        # Checked before the memory for it is allocated.
        check_samples(int(audio.num_samples * ratio), call.limits, call.node_id)
        array = audio.to_numpy()
        # soxr expects the machine's own byte order.
        array = array.astype(array.dtype.newbyteorder("="), copy=False)
        signal = (audio.sample_rate, audio.channels, array.dtype)
        # A signal of another kind needs a new filter.
        if signal != self._signal:
            self._signal = signal
            self._stream = self._soxr.ResampleStream(
                audio.sample_rate, self._target_rate, audio.channels, array.dtype
            )
        resampled = self._stream.resample_chunk(array, last=is_last)
        return AudioBuffer.from_numpy(resampled, self._target_rate)


class AudioFormatConverter(Node):
    """Changes the format of the samples.

    The format may also be a name from the contract's enum: ``AUDIO_FORMAT_I16``.
    """

    parameters: ClassVar[Sequence[Parameter] | None] = (
        Parameter("format", "F32, I16 or I32", _is_format),
    )

    def process(self, call: NodeCall) -> AudioBuffer:
        """Convert one chunk, or the whole audio of an execution."""
        name = self.values["format"].removeprefix("AUDIO_FORMAT_")
        return _audio(call).to_format(_FORMATS[name])


class VAD(Node):
    """Voice activity detection: tells speech from silence by the energy of the audio.

    The audio of a session is split into windows of 20 ms. A window that lies in two
    chunks counts for the second one, and the last 20 ms of a chunk always count. So
    each window is full, and the verdict about a steady sound does not depend on how the
    audio is cut into chunks.

    ``threshold_db`` is the least energy that counts as speech. 0 dB is the energy of a
    full-scale square wave.

    The audio is passed on. The data is ``has_speech``, whether any window reached the
    threshold, and ``energy_db``, the energy of the loudest window. A chunk without
    audio has no output.
    """

    parameters: ClassVar[Sequence[Parameter] | None] = (
        Parameter("threshold_db", "a number", is_number, unit="dB", default=-40.0),
    )

    def __init__(self, params: Mapping[str, Any]) -> None:
        super().__init__(params)
        self._sample_rate = 0
        # The power of the last frames of the session, fewer than a window has, and how
        # many of them are in a window that has begun.
        self._before = np.empty(0)
        self._begun = 0

    def process(self, call: NodeCall) -> NodeOutput:
        """Examine one chunk, or the whole audio of an execution."""
        audio = _audio(call)
        if not audio.samples:
            return NodeOutput()
        energy_db = self._loudest_window_db(audio)
        has_speech = energy_db >= self.values["threshold_db"]
        return NodeOutput(
            audio, {"has_speech": has_speech, "energy_db": round(energy_db, 2)}
        )

    def _loudest_window_db(self, audio: AudioBuffer) -> float:
        # In float32, the square of a sample that is far out of range would overflow.
        power = np.square(audio.to_float32(), dtype=np.float64).mean(axis=1)
        if audio.sample_rate != self._sample_rate:
            self._sample_rate = audio.sample_rate
            self._before, self._begun = np.empty(0), 0
        window = max(1, audio.sample_rate // _WINDOWS_PER_SECOND)
        signal = np.concatenate([self._before, power])
        start = self._before.size - self._begun
        full = signal[start : signal.size - (signal.size - start) % window]
        energies = np.append(
            full.reshape(-1, window).mean(axis=1), signal[-window:].mean()
        )
        self._begun = (self._begun + power.size) % window
        self._before = signal[max(0, signal.size - (window - 1)) :]
        loudest = float(np.nan_to_num(energies).max())
        return max(_SILENCE_DB, 10 * float(np.log10(max(loudest, 1e-30))))


def _audio(call: NodeCall) -> AudioBuffer:
    if call.audio is None:
        raise (ValueError if call.data is None else WrongKindError)(
            "no audio came; send some in audio_inputs, or connect a node that gives it"
        )
    return call.audio


def _import_soxr() -> Any:
    # Imported on first use: the package is an optional extra and loads a C library.
    try:
        import soxr  # type: ignore[import-untyped]  # it has no type hints
    except ImportError as error:
        raise ValueError(
            "the service needs the soxr package for it: "
            "pip install 'remotemedia[audio]'"
        ) from error
    return soxr


AUDIO_NODES: Mapping[str, type[Node]] = {
    "AudioResample": AudioResample,
    "AudioFormatConverter": AudioFormatConverter,
    "VAD": VAD,
}
