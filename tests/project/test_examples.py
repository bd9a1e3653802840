"""The example programs, run as a user runs them."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import pytest_asyncio
import soundfile  # type: ignore[import-untyped]  # it has no type hints

from tests.support import core_server
from tests.support.core_server import CoreServer
from tests.support.processes import address_of, free_port, service_process

EXAMPLES = Path(__file__).parents[2] / "examples"
SIMPLE = EXAMPLES / "simple_execution.py"
STREAMING = EXAMPLES / "streaming_audio.py"
BATCH = EXAMPLES / "batch.py"
LIVE = EXAMPLES / "live.py"
SPEECH = EXAMPLES / "data" / "speech.wav"

Run = Callable[..., "tuple[int, str, str]"]


@pytest.fixture
def streaming(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Run streaming_audio.py in this process; return exit code, output and errors."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
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


@pytest.fixture(scope="module")
def data_service() -> Iterator[str]:
    """The address of a service that speaks the data contract."""
    with service_process("--contract", "data") as service:
        yield address_of(service)


@pytest.fixture(params=["audio", "data"])
def where(request: pytest.FixtureRequest, data_service: str) -> tuple[str, ...]:
    """The options that lead an example to each contract: it runs unchanged on both.

    Without any, an example starts a service of the audio contract itself.
    """
    return () if request.param == "audio" else ("--address", data_service)


def test_simple_execution(where: tuple[str, ...]) -> None:
    done = process(SIMPLE, *where)
    assert (done.returncode, done.stderr) == (0, "")
    assert "protocol v1" in done.stdout
    assert "CalculatorNode" in done.stdout
    for line in ("10 + 4 = 14 ", "10 - 4 = 6 ", "10 x 4 = 40 ", "10 / 4 = 2.5 "):
        assert line in done.stdout
    assert done.stdout.count("ms in the node") == 4


def test_streaming_audio_with_the_clip_of_speech(where: tuple[str, ...]) -> None:
    done = process(STREAMING, *where)
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


@pytest.mark.parametrize("program", [SIMPLE, STREAMING, BATCH, LIVE])
def test_an_unreachable_service_is_a_clear_error(program: Path) -> None:
    port = str(free_port())
    done = process(program, "--address", f"127.0.0.1:{port}")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert port in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("program", [SIMPLE, STREAMING, BATCH, LIVE])
def test_help(program: Path) -> None:
    done = process(program, "--help")
    assert done.returncode == 0
    assert "--address HOST:PORT" in done.stdout


# Against other services


@pytest_asyncio.fixture
async def echo(core_modules: dict[str, ModuleType]) -> AsyncIterator[CoreServer]:
    """A service that runs no pipeline, as that of October 2025."""
    async with core_server.serve(core_modules, runs_pipelines=False) as server:
        yield server


async def against(
    server: CoreServer, program: Path, *arguments: object
) -> subprocess.CompletedProcess[str]:
    """Run an example in a process of its own, against a server in this one."""
    return await asyncio.to_thread(
        process, program, "--address", server.address, *arguments
    )


async def test_simple_execution_against_another_service(core: CoreServer) -> None:
    done = await against(core, SIMPLE)
    assert (done.returncode, done.stderr) == (0, "")
    for line in ("10 + 4 = 14 ", "10 - 4 = 6 ", "10 x 4 = 40 ", "10 / 4 = 2.5 "):
        assert line in done.stdout
    assert "ms in the node" not in done.stdout


async def test_simple_execution_without_outputs(echo: CoreServer) -> None:
    done = await against(echo, SIMPLE)
    assert (done.returncode, done.stderr) == (0, "")
    said = (
        "4: executed, but the service returned no output;    0.500 ms in the pipeline"
    )
    assert done.stdout.count(said) == 4


@pytest.mark.parametrize(
    ("program", "arguments", "missing"),
    [
        (STREAMING, [], "AudioResample, VAD"),
        (BATCH, [], "AudioResample, VAD"),
        (LIVE, ["--file", SPEECH], "VAD"),
    ],
)
async def test_a_service_without_the_nodes(
    core: CoreServer, program: Path, arguments: list[object], missing: str
) -> None:
    done = await against(core, program, *arguments)
    assert done.returncode == 1
    note, _, rest = done.stderr.partition("\n")
    assert note.startswith(
        f"note: the service at {core.address} has no {missing}; "
        "it has CalculatorNode, PassThrough."
    )
    assert "Validation error: unknown node type" in rest
    assert "Traceback" not in rest


async def test_streaming_audio_without_the_nodes(
    echo: CoreServer, tmp_path: Path
) -> None:
    out = tmp_path / "out.wav"
    done = await against(echo, STREAMING, "--out", out, "--plot", tmp_path / "plot.png")
    assert done.returncode == 0
    assert "has no AudioResample, VAD; it has CalculatorNode" in done.stderr
    assert "the service returned no output of the node 'vad'" in done.stdout
    assert "latency p50" in done.stdout
    rows = [line for line in done.stdout.splitlines() if line[:5].strip().isdigit()]
    assert len(rows) == 56
    assert all(re.search(r" -  -$", row) for row in rows)
    # What came back is what was sent.
    samples, rate = soundfile.read(out, dtype="int16")
    expected, expected_rate = soundfile.read(SPEECH, dtype="int16")
    assert rate == expected_rate
    assert np.array_equal(samples, expected)


async def test_batch_without_the_nodes(echo: CoreServer) -> None:
    done = await against(echo, BATCH)
    assert done.returncode == 0
    assert "has no AudioResample, VAD" in done.stderr
    assert "the service returned no output of the node 'vad'" in done.stderr
    assert json.loads(done.stdout) == {
        "speech.wav": {"duration_s": 5.532, "speech_s": None}
    }


async def test_live_without_the_nodes(echo: CoreServer) -> None:
    done = await against(echo, LIVE, "--file", SPEECH, "--seconds", "0.5")
    assert done.returncode == 0
    assert done.stderr.startswith(f"note: the service at {echo.address} has no VAD")
    assert "the service returned no output of the node 'vad'" in done.stdout
    assert re.search(r"no verdict on speech +latency +[0-9.]+ ms, sent", done.stdout)


# batch.py


def test_batch_with_the_clip_of_speech(where: tuple[str, ...]) -> None:
    done = process(BATCH, *where)
    assert done.returncode == 0
    assert "1/1" in done.stderr
    speech = json.loads(done.stdout)["speech.wav"]["speech_s"]
    # The clip says "Hello.", "One, two, three." and "This is a test of the pipeline."
    assert len(speech) >= 3
    edges = [edge for segment in speech for edge in segment]
    assert edges == sorted(set(edges))
    assert edges[-1] <= 5.532


def test_batch_reports_broken_files_and_processes_the_others(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    for number in range(6):
        write_tone(tmp_path / f"{number}.wav", 8000, 1, "PCM_16")
    write_tone(tmp_path / "below" / "LOUD.WAV", 48000, 2, "FLOAT")
    write_tone(tmp_path / "empty.wav", 8000, 1, "PCM_16", seconds=0)
    (tmp_path / "bad.wav").write_bytes(b"RIFF, but no more than that")
    (tmp_path / "notes.txt").write_text("no audio")
    out = tmp_path / "speech.json"
    done = process(BATCH, tmp_path, "--jobs", 2, "--out", out)
    assert (done.returncode, done.stdout) == (1, "")
    assert "9/9" in done.stderr
    assert f"1 of 9 files failed:\n  {tmp_path / 'bad.wav'}: " in done.stderr
    assert "Traceback" not in done.stderr
    found = json.loads(out.read_text())
    names = ["0.wav", "1.wav", "2.wav", "3.wav", "4.wav", "5.wav", "below/LOUD.WAV"]
    assert list(found) == [*names, "empty.wav"]
    assert found["empty.wav"] == {"duration_s": 0, "speech_s": []}
    for name in names:
        assert found[name]["duration_s"] == 0.35
        ((start, end),) = found[name]["speech_s"]
        assert start <= 0.1
        assert 0.2 <= end <= 0.35


def test_batch_without_files(tmp_path: Path) -> None:
    done = process(BATCH, tmp_path)
    assert done.returncode == 1
    assert done.stderr == f"error: {tmp_path} has no WAV files in it\n"
    assert process(BATCH, "--jobs", "0").returncode == 2


# live.py


def test_live_with_a_file(tmp_path: Path, where: tuple[str, ...]) -> None:
    write_tone(tmp_path / "in.wav", 8000, 1, "PCM_16")
    done = process(LIVE, "--file", tmp_path / "in.wav", *where)
    assert (done.returncode, done.stderr) == (0, "")
    assert "playing in.wav" in done.stdout
    # 0.35 s are four chunks, the last of which is shorter.
    # Reading universal newlines, each state of the line is a line.
    last = done.stdout.splitlines()[-1]
    assert re.search(r"latency +[0-9.]+ ms, sent 4, answered 4, dropped 0$", last)
    assert last.startswith("silence")


MICROPHONE = """
import threading

class PortAudioError(Exception): pass
class CallbackStop(Exception): pass

def query_devices(kind):
    if MISSING: raise PortAudioError("Error querying device -1")

class RawInputStream:
    def __init__(self, samplerate, channels, dtype, blocksize, callback):
        if BUSY: raise PortAudioError("Device unavailable")
        assert (samplerate, channels, dtype, blocksize) == (16000, 1, "int16", 1600)
        block = memoryview(bytes(range(100)) * 32)
        self.is_stopped = threading.Event()
        def listen():
            while not self.is_stopped.wait(0.01):
                try:
                    callback(block, 1600, None, None)
                except CallbackStop:
                    return
        self.thread = threading.Thread(target=listen)
    def __enter__(self):
        self.thread.start()
    def __exit__(self, *_):
        self.is_stopped.set()
        self.thread.join()
"""


def live_with_microphone(folder: Path, **settings: bool) -> subprocess.Popen[str]:
    """Run live.py with a microphone that the machine of the tests may not have."""
    given = {"MISSING": False, "BUSY": False, **settings}
    lines = [f"{name} = {value}" for name, value in given.items()]
    (folder / "sounddevice.py").write_text("\n".join([*lines, MICROPHONE]))
    return subprocess.Popen(
        [sys.executable, LIVE],
        env={**os.environ, "PYTHONPATH": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_live_with_a_microphone_ends_with_control_c(tmp_path: Path) -> None:
    with live_with_microphone(tmp_path) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "listening to the microphone; Ctrl+C ends\n"
        while "answered 0" in program.stdout.readline():
            pass
        program.send_signal(signal.SIGINT)
        output, errors = program.communicate(timeout=30)
    assert (program.returncode, errors) == (0, "")
    last = output.splitlines()[-1]
    assert re.match(r"speech +-[0-9.]+ dB +latency +[0-9.]+ ms, sent \d+, an", last)


@pytest.mark.parametrize(
    ("settings", "code", "said"),
    [
        (
            {"MISSING": True},
            0,
            "no microphone: Error querying device -1\nplaying speech.wav",
        ),
        ({"BUSY": True}, 1, "error: the microphone cannot be opened: Device unavai"),
    ],
)
def test_live_without_a_microphone(
    tmp_path: Path, settings: dict[str, bool], code: int, said: str
) -> None:
    with live_with_microphone(tmp_path, **settings) as program:
        output, errors = program.communicate(timeout=30)
    assert program.returncode == code
    assert said in output + errors
    assert "Traceback" not in errors
