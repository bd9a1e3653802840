"""The reference nodes for audio: sample rate, sample format, voice activity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from remotemedia.testing.limits import check_samples
from remotemedia.testing.node import Node, NodeCall, NodeOutput
from remotemedia.testing.nodes import is_number
from remotemedia.v1 import AudioBuffer, AudioFormat

_FORMATS = {
    "F32": AudioFormat.F32,
    "I16": AudioFormat.I16,
    "I32": AudioFormat.I32,
}

# The energy of silence: JSON cannot represent minus infinity.
_SILENCE_DB = -120.0


class AudioResample(Node):
    """Changes the sample rate, with soxr's high quality.

    Params: ``target_sample_rate``, in Hz.

    The chunks of a session are resampled as one continuous signal. The filter looks
    ahead by 40 ms from 44.1 or 48 kHz to 16 kHz, and by up to 160 ms between other
    common rates, so the first results are shorter by that much. The same amount of
    audio remains in the filter when the session ends, because the contract has no
    message after the last result; a client that needs it sends silence at the end. An
    execution returns all of the audio.
    """

    def __init__(self, params: Mapping[str, Any]) -> None:
        super().__init__(params)
        rate = params.get("target_sample_rate")
        if not isinstance(rate, int) or isinstance(rate, bool) or not 0 < rate < 2**32:
            raise ValueError(
                f"params.target_sample_rate is {rate!r}; it must be a positive integer,"
                " in Hz"
            )
        self._target_rate = rate
        self._soxr = _import_soxr()
        self._signal: tuple[int, int, np.dtype[Any]] | None = None
        self._stream: Any = None

    def process(self, call: NodeCall) -> AudioBuffer:
        """Resample one chunk, or the whole audio of an execution."""
        audio = _audio(call)
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
        resampled = self._stream.resample_chunk(array, last=call.sequence is None)
        return AudioBuffer.from_numpy(resampled, self._target_rate)


class AudioFormatConverter(Node):
    """Changes the format of the samples.

    Params: ``format``, one of ``F32``, ``I16`` and ``I32``, or a name from the
    contract's enum, such as ``AUDIO_FORMAT_I16``.
    """

    def __init__(self, params: Mapping[str, Any]) -> None:
        super().__init__(params)
        name = params.get("format")
        if not isinstance(name, str) or (
            (target := _FORMATS.get(name.removeprefix("AUDIO_FORMAT_"))) is None
        ):
            raise ValueError(f"params.format is {name!r}; it must be F32, I16 or I32")
        self._target = target

    def process(self, call: NodeCall) -> AudioBuffer:
        """Convert one chunk, or the whole audio of an execution."""
        return _audio(call).to_format(self._target)


class VAD(Node):
    """Voice activity detection: tells speech from silence by the energy of the audio.

    The audio is split into windows of about 20 ms.

    Params: ``threshold_db``, the least energy that counts as speech, in dB; -40 by
    default. 0 dB is the energy of a full-scale square wave.

    The audio is passed on. The data is ``has_speech``, whether any window reached the
    threshold, and ``energy_db``, the energy of the loudest window.
    """

    def __init__(self, params: Mapping[str, Any]) -> None:
        super().__init__(params)
        threshold = params.get("threshold_db", -40.0)
        if not is_number(threshold):
            raise ValueError(
                f"params.threshold_db is {threshold!r}; it must be a number"
            )
        self._threshold_db = threshold

    def process(self, call: NodeCall) -> NodeOutput:
        """Examine one chunk, or the whole audio of an execution."""
        audio = _audio(call)
        energy_db = _loudest_window_db(audio)
        has_speech = energy_db >= self._threshold_db
        return NodeOutput(
            audio, {"has_speech": has_speech, "energy_db": round(energy_db, 2)}
        )


def _loudest_window_db(audio: AudioBuffer) -> float:
    """The energy of the loudest 20 ms in dB, as the mean over all channels."""
    # In float32, the square of a sample that is far out of range would overflow.
    power = np.square(audio.to_float32(), dtype=np.float64).mean(axis=1)
    if not power.size:
        return _SILENCE_DB
    # As many windows as 20 ms fit in, of nearly equal length.
    count = min(max(1, power.size * 50 // audio.sample_rate), power.size)
    starts = np.arange(count) * power.size // count
    lengths = np.diff(starts, append=power.size)
    loudest = float(np.nan_to_num(np.add.reduceat(power, starts) / lengths).max())
    return max(_SILENCE_DB, 10 * float(np.log10(max(loudest, 1e-30))))


def _audio(call: NodeCall) -> AudioBuffer:
    if call.audio is None:
        raise ValueError(
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
