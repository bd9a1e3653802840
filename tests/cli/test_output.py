"""What the commands write."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from remotemedia import (
    AudioBuffer,
    AudioFormat,
    ChunkResult,
    ExecutionResult,
    data,
    data_v1,
)
from remotemedia.cli.output import (
    others,
    outputs,
    progress,
    show_json,
    show_result,
    show_table,
    write_audio,
)
from remotemedia.contracts.values import to_wire_audio
from remotemedia.data import (
    BinaryBuffer,
    DataBuffer,
    FileBuffer,
    JsonData,
    NumpyBuffer,
    PixelFormat,
    TensorBuffer,
    TextBuffer,
    VideoFrame,
)
from tests.support.pipelines import tone


def test_a_table_shows_any_text(capsys: pytest.CaptureFixture[str]) -> None:
    show_table("[title]", ("name", ""), [("[bold]a", 1), ("b", [2])])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "[title]"
    assert [line.split() for line in lines if "b" in line] == [
        ["[bold]a", "1"],
        ["b", "[2]"],
    ]


def test_json_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    show_json({"text": "ä\n"})
    assert capsys.readouterr().out == '{"text": "ä\\n"}\n'


def test_outputs_have_no_samples() -> None:
    result = ExecutionResult(
        audio_outputs={"src": tone(1600)},
        data_outputs={"vad": '{"speech": true}', "raw": "text"},
    )
    assert outputs(result) == {
        "audio": {
            "src": {
                "seconds": 0.1,
                "sample_rate": 16_000,
                "channels": 1,
                "format": "F32",
            }
        },
        "data": {"vad": {"speech": True}, "raw": "text"},
    }


EVERY_KIND = {
    "sound": DataBuffer(audio=to_wire_audio(tone(1600))),
    "level": DataBuffer(json=JsonData(json_payload='{"rms_db": -9}')),
    "matrix": DataBuffer(numpy=NumpyBuffer.from_numpy(np.zeros((2, 3), np.int16))),
    "logits": DataBuffer(tensor=TensorBuffer.from_numpy(np.zeros(5, np.float32))),
    "frame": DataBuffer(video=VideoFrame.from_numpy(np.zeros((2, 4, 3), np.uint8))),
    "words": DataBuffer(text=TextBuffer.from_text("čau")),
    "broken": DataBuffer(text=TextBuffer(text_data=b"\xff!", encoding="utf-8")),
    "picture": DataBuffer(binary=BinaryBuffer(data=b"\0\1", mime_type="image/png")),
    "bytes": DataBuffer(binary=BinaryBuffer(data=b"\0")),
    "clip": DataBuffer(file=FileBuffer(path="/a.wav", size=3)),
    "nothing": DataBuffer(),
}


def test_outputs_of_every_kind_are_told() -> None:
    result = data.ExecutionResult(data_v1.ExecutionResult(data_outputs=EVERY_KIND))
    found = outputs(result)
    assert found.pop("audio").keys() == {"sound"}
    assert found == {
        "data": {"level": {"rms_db": -9}},
        "array": {
            "matrix": {"dtype": "int16", "shape": [2, 3]},
            "logits": {"dtype": "F32", "shape": [5]},
        },
        "video": {"frame": {"width": 4, "height": 2, "format": "RGB24"}},
        "text": {"words": "čau", "broken": "\ufffd!"},
        "binary": {
            "picture": {"bytes": 2, "mime_type": "image/png"},
            "bytes": {"bytes": 1, "mime_type": ""},
        },
        "file": {"clip": {"path": "/a.wav", "size": "3"}},
        "empty": {"nothing": {}},
    }
    json.dumps(found)


def test_a_value_without_a_name_is_a_number() -> None:
    frame = VideoFrame(width=1, height=1, format=PixelFormat.try_value(77))
    outs = {"frame": DataBuffer(video=frame)}
    result = data.ExecutionResult(data_v1.ExecutionResult(data_outputs=outs))
    assert [output.text for output in others(result)] == ["1 x 1 77"]


def test_a_line_has_outputs_of_every_kind(capsys: pytest.CaptureFixture[str]) -> None:
    result = data.ChunkResult(data_v1.ChunkResult(data_outputs=EVERY_KIND))
    with progress() as bar:
        show_result(result, 0.0, bar)
    line = capsys.readouterr().out.strip("\n")
    assert line.partition(" s  ")[2].split("  ") == [
        'level {"rms_db": -9}',
        "sound 0.1 s audio",
        "matrix int16 (2, 3) array",
        "logits F32 (5,) array",
        "frame 4 x 2 RGB24 video",
        "words čau",
        "broken \ufffd!",
        "picture 2 bytes image/png binary",
        "bytes 1 bytes binary",
        "clip /a.wav file",
        "nothing empty",
    ]


def test_only_one_audio_output_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / "out.wav"
    write_audio(path, {"src": tone(160)})
    assert AudioBuffer.from_file(path).format is AudioFormat.F32
    with pytest.raises(ValueError, match="there are: a, b"):
        write_audio(path, {"b": tone(1), "a": tone(1)})
    with pytest.raises(ValueError, match="there are: none"):
        write_audio(path, {})


def test_a_progress_bar_is_for_terminals_only(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with progress() as bar:
        bar.add_task("work", total=1.0)
    assert capsys.readouterr() == ("", "")


RESULT = ChunkResult(
    sequence=7,
    data_outputs={"vad": json.dumps({"text": "long " * 50})},
    audio_outputs={"src": tone(1600)},
)


def test_a_line_of_a_result_is_whole_in_a_pipe(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with progress() as bar:
        show_result(RESULT, 0.7, bar)
    out, err = capsys.readouterr()
    text = RESULT.data_outputs["vad"]
    assert out == f"   7    0.70 s  vad {text}  src 0.1 s audio\n"
    assert err == ""


def test_a_progress_bar_is_not_among_json(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.setenv(variable, "1")
    assert not progress().disable
    assert progress(as_json=True).disable


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such terminals")
@pytest.mark.parametrize("is_piped", [False, True])
def test_a_line_of_a_result_fits_a_terminal(is_piped: bool, tmp_path: Path) -> None:
    """In a process with a terminal, whose output may be a pipe all the same."""
    program = tmp_path / "program.py"
    program.write_text(
        "from remotemedia.cli.output import progress, show_result\n"
        "from tests.cli.test_output import RESULT\n"
        "with progress() as bar:\n"
        "    bar.add_task('work', total=1.0)\n"
        "    show_result(RESULT, 0.7, bar)\n"
    )
    ours, theirs = os.openpty()
    with subprocess.Popen(
        [sys.executable, program],
        stdout=subprocess.PIPE if is_piped else theirs,
        stderr=theirs,
        env={**os.environ, "COLUMNS": "40", "TERM": "xterm", "PYTHONPATH": "."},
    ) as process:
        piped = process.communicate()[0] or b""
    os.close(theirs)
    shown = b""
    with suppress(OSError):
        # The end of a terminal is an error.
        while more := os.read(ours, 65536):
            shown += more
    os.close(ours)
    assert process.returncode == 0
    assert b"work" in shown
    assert (b"long long" in piped, b"long long" in shown) == (is_piped, not is_piped)
    assert b"src" in (piped if is_piped else b"src")
    assert b"src" not in shown
