"""The reference nodes for audio, each by itself."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remotemedia.errors import RemoteMediaError
from remotemedia.testing import Node, NodeCall, NodeOutput
from remotemedia.testing.audio_nodes import AUDIO_NODES
from remotemedia.v1 import AudioBuffer, AudioFormat, ErrorType, ResourceLimits
from tests.support.pipelines import tone

LIMITS = ResourceLimits(max_audio_samples=10_000_000)


def make(node_type: str, **params: Any) -> Node:
    return AUDIO_NODES[node_type](params)


def run(
    node: Node, audio: AudioBuffer | None, sequence: int | None = None
) -> AudioBuffer | NodeOutput:
    """Process one chunk of a session, or an execution if there is no sequence."""
    process = node.process_last if sequence is None else node.process
    result = process(NodeCall("n", {}, audio, None, {}, LIMITS, sequence))
    assert isinstance(result, (AudioBuffer, NodeOutput))
    return result


def audio_of(
    node: Node, audio: AudioBuffer, sequence: int | None = None
) -> AudioBuffer:
    result = run(node, audio, sequence)
    assert isinstance(result, AudioBuffer)
    return result


def resample(audio: AudioBuffer, rate: int) -> AudioBuffer:
    return audio_of(make("AudioResample", target_sample_rate=rate), audio)


def resample_chunks(
    audio: AudioBuffer, rate: int, frames: int
) -> Sequence[AudioBuffer]:
    node = make("AudioResample", target_sample_rate=rate)
    return [
        audio_of(node, chunk, sequence)
        for sequence, chunk in enumerate(audio.chunks(frames))
    ]


def frequency(audio: AudioBuffer) -> float:
    """The strongest frequency, in Hz."""
    spectrum = np.abs(np.fft.rfft(audio.to_float32()[:, 0]))
    return float(np.argmax(spectrum)) * audio.sample_rate / audio.frames


@pytest.mark.parametrize(
    ("source", "target"),
    [(48_000, 16_000), (44_100, 16_000), (8_000, 48_000), (192_000, 8_000)],
)
def test_a_resampled_tone_is_the_same_tone(source: int, target: int) -> None:
    whole = resample(tone(source, source), target)
    assert (whole.sample_rate, whole.frames) == (target, target)
    assert frequency(whole) == pytest.approx(440, abs=1)
    # Away from the ends, where the filter meets silence.
    middle = slice(target // 10, -target // 10)
    np.testing.assert_allclose(
        whole.to_float32()[middle], tone(target, target).to_float32()[middle], atol=1e-3
    )


@pytest.mark.parametrize(
    ("source", "target"), [(48_000, 16_000), (44_100, 16_000), (16_000, 48_000)]
)
@pytest.mark.parametrize("chunk_ms", [10, 100])
def test_chunks_are_resampled_without_a_seam(
    source: int, target: int, chunk_ms: int
) -> None:
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, (source, 2)).astype(np.float32)
    audio = AudioBuffer.from_numpy(noise, source)
    chunks = resample_chunks(audio, target, source * chunk_ms // 1000)
    joined = np.concatenate([chunk.to_float32() for chunk in chunks])
    whole = resample(audio, target).to_float32()
    np.testing.assert_allclose(joined, whole[: len(joined)], atol=1e-6)
    # What is missing is what the filter looks ahead, as the node's docstring has it.
    assert 0 < len(whole) - len(joined) <= target * 0.04


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32])
def test_resampling_keeps_format_and_channels(dtype: type[Any]) -> None:
    samples: npt.NDArray[Any] = np.zeros((480, 3), dtype)
    resampled = resample(AudioBuffer.from_numpy(samples, 48_000), 16_000).to_numpy()
    assert (resampled.dtype, resampled.shape) == (np.dtype(dtype), (160, 3))


@pytest.mark.parametrize(
    ("source", "target"), [(48_000, 16_000), (8_000, 16_000), (192_000, 16_000)]
)
def test_the_last_call_gives_what_the_filter_held_back(
    source: int, target: int
) -> None:
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, (source, 2)).astype(np.float32)
    audio = AudioBuffer.from_numpy(noise, source)
    node = make("AudioResample", target_sample_rate=target)
    chunks = [audio_of(node, chunk, 0) for chunk in audio.chunks(source // 10)]
    rest = node.process_last(NodeCall("n", {}, None, None, {}, LIMITS, 9))
    assert isinstance(rest, AudioBuffer)
    assert rest.frames > 0
    joined = np.concatenate([chunk.to_float32() for chunk in [*chunks, rest]])
    whole = resample(audio, target).to_float32()
    np.testing.assert_allclose(joined, whole, atol=1e-6)


def test_the_last_call_takes_audio_too() -> None:
    node = make("AudioResample", target_sample_rate=16_000)
    first, second = tone(9_600, 48_000).chunks(4_800)
    start = audio_of(node, first, 0)
    end = node.process_last(NodeCall("n", {}, second, None, {}, LIMITS, 0))
    assert isinstance(end, AudioBuffer)
    assert start.frames + end.frames == 3_200


@pytest.mark.parametrize("audio", [None, tone(160, 16_000)])
def test_a_filter_that_never_ran_holds_nothing_back(audio: AudioBuffer | None) -> None:
    node = make("AudioResample", target_sample_rate=16_000)
    if audio is not None:
        run(node, audio, 0)
    assert node.process_last(NodeCall("n", {}, None, None, {}, LIMITS, 0)) is None


def test_audio_that_has_the_target_rate_is_passed_on() -> None:
    audio = tone()
    assert resample(audio, audio.sample_rate) is audio


def test_another_signal_in_the_same_session_is_resampled_by_itself() -> None:
    node = make("AudioResample", target_sample_rate=16_000)
    audio_of(node, tone(4_800, 48_000), 0)
    stereo = AudioBuffer.from_numpy(np.zeros((4_410, 2), np.float32), 44_100)
    assert audio_of(node, stereo, 1).channels == 2


def test_too_large_a_result_is_refused_before_it_is_made() -> None:
    audio = tone(1_600, sample_rate=1)
    with pytest.raises(RemoteMediaError, match="76800000 samples") as caught:
        resample(audio, 48_000)
    assert caught.value.error_type is ErrorType.RESOURCE_LIMIT


@pytest.mark.parametrize("rate", [None, 0, -1, 2**32, 16_000.0, "16000", True])
def test_a_wrong_target_rate_is_named(rate: object) -> None:
    with pytest.raises(ValueError, match="target_sample_rate"):
        make("AudioResample", target_sample_rate=rate)


def test_without_soxr_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "soxr", None)
    with pytest.raises(ValueError, match=r"pip install 'remotemedia\[audio\]'"):
        make("AudioResample", target_sample_rate=16_000)


@pytest.mark.parametrize("name", ["F32", "I16", "I32"])
@pytest.mark.parametrize("prefix", ["", "AUDIO_FORMAT_"])
def test_formats_are_converted(name: str, prefix: str) -> None:
    converter = make("AudioFormatConverter", format=prefix + name)
    converted = audio_of(converter, tone())
    assert converted.format is AudioFormat[name]
    np.testing.assert_allclose(
        converted.to_float32(), tone().to_float32(), atol=1 / 32768
    )


@pytest.mark.parametrize("name", [None, "", "F64", "AUDIO_FORMAT_", 2, "f32"])
def test_a_wrong_format_is_named(name: object) -> None:
    with pytest.raises(ValueError, match="must be F32, I16 or I32"):
        make("AudioFormatConverter", format=name)


def judge(samples: npt.NDArray[Any], rate: int = 16_000, **params: object) -> Any:
    audio = AudioBuffer.from_numpy(samples.astype(np.float32), rate)
    output = run(make("VAD", **params), audio)
    assert isinstance(output, NodeOutput)
    assert output.audio is audio
    return output.data


def test_silence_is_not_speech() -> None:
    assert judge(np.zeros(1600)) == {"has_speech": False, "energy_db": -120.0}


@pytest.mark.parametrize("channels", [1, 2])
def test_the_energy_of_a_tone(channels: int) -> None:
    # A sine of amplitude 0.5: 20 log10(0.5 / sqrt 2).
    tones = np.repeat(tone(1600).to_float32(), channels, axis=1)
    assert judge(tones) == {
        "has_speech": True,
        "energy_db": pytest.approx(-9.03, abs=0.1),
    }


def test_a_full_scale_square_wave_is_0_db() -> None:
    assert judge(np.tile([1.0, -1.0], 800))["energy_db"] == 0


def test_one_loud_frame_among_silence_is_found() -> None:
    samples = np.zeros(16_000)
    samples[8_000:8_320] = 0.5
    assert judge(samples) == {"has_speech": True, "energy_db": -6.02}


def test_audio_shorter_than_a_window_is_one_window() -> None:
    assert judge(np.array([0.0, 1.0]))["energy_db"] == -3.01


def test_a_window_has_one_frame_where_20_ms_have_less() -> None:
    assert judge(np.array([0.0, 1.0]), 50)["energy_db"] == 0


def test_the_threshold_is_in_db() -> None:
    with pytest.raises(ValueError, match=r"it must be a number, in dB$"):
        make("VAD", threshold_db="loud")


def test_an_energy_equal_to_the_threshold_is_speech() -> None:
    assert judge(np.ones(160), threshold_db=0)["has_speech"] is True


@pytest.mark.parametrize(("threshold", "speech"), [(-10, True), (-5, False)])
def test_the_threshold(threshold: float, speech: bool) -> None:
    assert judge(np.full(320, 0.5), threshold_db=threshold)["has_speech"] is speech


@given(
    st.lists(st.floats(width=32), min_size=1, max_size=400),
    st.sampled_from([1, 50, 8_000, 44_100, 192_000]),
)
def test_every_audio_has_a_finite_energy(samples: list[float], rate: int) -> None:
    energy = judge(np.array(samples), rate)["energy_db"]
    assert -120 <= energy < np.inf


@pytest.mark.parametrize("sequence", [None, 0])
def test_without_samples_there_is_no_verdict(sequence: int | None) -> None:
    assert run(make("VAD"), tone(0), sequence) == NodeOutput()


def verdicts(audio: AudioBuffer, cuts: Sequence[int], **params: object) -> list[Any]:
    """The data of a session whose chunks end at these frames."""
    node = make("VAD", **params)
    chunks = np.split(audio.to_numpy(), sorted(cuts))
    found = []
    for sequence, samples in enumerate(chunks):
        chunk = AudioBuffer.from_numpy(samples, audio.sample_rate)
        output = run(node, chunk, sequence)
        assert isinstance(output, NodeOutput)
        # What comes is passed on at once, with its verdict.
        assert (output.audio is None) == (output.data is None) == (not samples.size)
        if output.data is not None:
            found.append(output.data)
    return found


@given(st.sets(st.integers(320, 3_199), min_size=1, max_size=40))
def test_a_steady_tone_does_not_flicker(cuts: set[int]) -> None:
    # One period lasts 20 ms, so only a whole window has the energy of the tone.
    period = np.sin(2 * np.pi * np.arange(320) / 320).astype(np.float32)
    audio = AudioBuffer.from_numpy(np.tile(period, 10), 16_000)
    for verdict in verdicts(audio, sorted(cuts), threshold_db=-3.02):
        assert verdict == {"has_speech": True, "energy_db": -3.01}


@given(
    st.integers(0, 9),
    st.sets(st.integers(1, 3_199), max_size=40),
)
def test_a_sound_is_found_in_whatever_chunks_it_comes(
    window: int, cuts: set[int]
) -> None:
    samples = np.zeros(3_200, np.float32)
    samples[window * 320 : (window + 1) * 320] = 0.5
    audio = AudioBuffer.from_numpy(samples, 16_000)
    found = verdicts(audio, sorted(cuts), threshold_db=-6.03)
    assert any(verdict["has_speech"] for verdict in found)


def test_the_last_milliseconds_count() -> None:
    samples = np.zeros(330, np.float32)
    samples[325:] = 1
    audio = AudioBuffer.from_numpy(samples, 16_000)
    assert judge(samples)["energy_db"] == pytest.approx(-18.06)
    assert verdicts(audio, [5])[-1]["energy_db"] == pytest.approx(-18.06)


def test_another_rate_begins_another_signal() -> None:
    node = make("VAD")
    run(node, AudioBuffer.from_numpy(np.ones(310, np.float32), 16_000), 0)
    output = run(node, AudioBuffer.from_numpy(np.zeros(10, np.float32), 8_000), 1)
    assert isinstance(output, NodeOutput)
    assert output.data == {"has_speech": False, "energy_db": -120.0}


def test_a_window_that_is_no_number_hides_no_other() -> None:
    samples = np.full(640, 0.5)
    samples[10] = np.nan
    assert judge(samples)["energy_db"] == -6.02


def test_a_wrong_threshold_is_named() -> None:
    with pytest.raises(ValueError, match="threshold_db"):
        make("VAD", threshold_db="loud")


@pytest.mark.parametrize(
    ("node_type", "params"),
    [
        ("AudioResample", {"target_sample_rate": 16_000}),
        ("AudioFormatConverter", {"format": "I16"}),
        ("VAD", {}),
    ],
)
def test_without_audio_the_error_says_what_to_do(
    node_type: str, params: dict[str, object]
) -> None:
    with pytest.raises(ValueError, match="audio_inputs"):
        run(make(node_type, **params), None)


@pytest.mark.parametrize(
    ("node_type", "params"),
    [
        ("AudioResample", {"target_sample_rate": 8_000}),
        ("AudioFormatConverter", {"format": "I16"}),
        ("VAD", {"threshold_db": -30}),
    ],
)
def test_a_node_keeps_its_params(node_type: str, params: dict[str, Any]) -> None:
    assert make(node_type, **params).params == params
