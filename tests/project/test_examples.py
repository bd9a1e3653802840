"""The example programs, run as a user runs them."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile  # type: ignore[import-untyped]  # it has no type hints

from tests.support.processes import free_port

EXAMPLES = Path(__file__).parents[2] / "examples"
SIMPLE = EXAMPLES / "simple_execution.py"
STREAMING = EXAMPLES / "streaming_audio.py"

Run = Callable[..., "tuple[int, str, str]"]


@pytest.fixture
def streaming(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Run streaming_audio.py in this process; return exit code, output and errors."""
    spec = importlib.util.spec_from_file_location("streaming_audio", STREAMING)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", [str(STREAMING), *map(str, arguments)])
        code = module.main()
        output = capsys.readouterr()
        return code, output.out, output.err

    return run


def process(program: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run an example in a process of its own."""
    return subprocess.run(
        [sys.executable, program, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def write_tone(
    path: Path, rate: int, channels: int, subtype: str, seconds: float = 0.35
) -> None:
    """Write silence with a tone of 440 Hz from 0.1 s to 0.2 s to a WAV file."""
    frames = int(rate * seconds)
    time = np.arange(frames) / rate
    tone = np.where((time >= 0.1) & (time < 0.2), np.sin(2 * np.pi * 440 * time), 0)
    soundfile.write(path, np.tile(tone[:, None] / 2, channels), rate, subtype)


def test_simple_execution() -> None:
    done = process(SIMPLE)
    assert (done.returncode, done.stderr) == (0, "")
    assert "protocol v1" in done.stdout
    assert "CalculatorNode" in done.stdout
    for line in ("10 + 4 = 14 ", "10 - 4 = 6 ", "10 x 4 = 40 ", "10 / 4 = 2.5 "):
        assert line in done.stdout
    assert done.stdout.count("ms in the node") == 4


def test_streaming_audio_with_the_clip_of_speech() -> None:
    done = process(STREAMING)
    assert (done.returncode, done.stderr) == (0, "")
    rows = [
        line.split() for line in done.stdout.splitlines() if line[:5].strip().isdigit()
    ]
    assert [int(row[0]) for row in rows] == list(range(56))
    speech = "".join("x" if row[-1] == "yes" else " " for row in rows)
    # The clip says "Hello.", "One, two, three." and "This is a test of the pipeline."
    assert len([word for word in speech.split(" ") if word]) >= 3
    assert speech.endswith(" ")
    assert "latency p50" in done.stdout
    assert "target 50 ms" in done.stdout


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32", "FLOAT"])
@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000, 192000])
def test_every_wav_goes_through(
    streaming: Run, tmp_path: Path, rate: int, subtype: str, channels: int
) -> None:
    write_tone(tmp_path / "in.wav", rate, channels, subtype)
    code, output, errors = streaming(tmp_path / "in.wav", "--out", tmp_path / "out.wav")
    assert (code, errors) == (0, "")
    assert f"in.wav: 0.35 s, {rate} Hz, {channels} channel(s)" in output
    answers = [line.split()[-1] for line in output.splitlines()[2:6]]
    assert answers[1] == "yes"
    assert answers[3] == "no"

    samples, out_rate = soundfile.read(tmp_path / "out.wav", always_2d=True)
    assert out_rate == 16000
    assert samples.shape[1] == channels
    assert len(samples) == 5600
    # Each channel holds the tone at its frequency, time and level.
    for channel in samples.T:
        spectrum = np.abs(np.fft.rfft(channel * np.hanning(len(channel))))
        pitch = np.argmax(spectrum) * 16000 / len(channel)
        assert abs(pitch - 440) < 10
        loud = np.flatnonzero(np.abs(channel) > 0.25) / 16000
        assert 0.08 < loud[0] < 0.12
        assert 0.18 < loud[-1] < 0.22
        assert 0.45 < np.abs(channel).max() < 0.6


def test_long_files_get_a_progress_bar(streaming: Run, tmp_path: Path) -> None:
    write_tone(tmp_path / "in.wav", 8000, 1, "PCM_16", seconds=10.2)
    code, output, errors = streaming(tmp_path / "in.wav")
    assert code == 0
    assert "102/102" in errors
    assert "energy dB" not in output
    assert "of 102 chunks" in output


def test_plot(streaming: Run, tmp_path: Path) -> None:
    image = tmp_path / "plot.png"
    code, output, _ = streaming("--plot", image)
    assert code == 0
    assert f"wrote {image}" in output
    assert image.read_bytes().startswith(b"\x89PNG")


def test_a_bad_file_is_a_clear_error(streaming: Run, tmp_path: Path) -> None:
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"RIFF, but no more than that")
    code, _, errors = streaming(bad)
    assert code == 1
    assert errors.startswith("error: ")
    assert "bad.wav is not a WAV file that can be read" in errors

    write_tone(bad, 8000, 1, "PCM_16", seconds=0)
    code, _, errors = streaming(bad)
    assert (code, errors) == (1, f"error: {bad} has no audio in it\n")

    code, _, errors = streaming(tmp_path / "none.wav")
    assert code == 1
    assert "No such file or directory" in errors


@pytest.mark.parametrize("program", [SIMPLE, STREAMING])
def test_an_unreachable_service_is_a_clear_error(program: Path) -> None:
    port = str(free_port())
    done = process(program, "--address", f"127.0.0.1:{port}")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert port in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("program", [SIMPLE, STREAMING])
def test_help(program: Path) -> None:
    done = process(program, "--help")
    assert done.returncode == 0
    assert "--address HOST:PORT" in done.stdout
