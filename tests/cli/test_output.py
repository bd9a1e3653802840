"""What the commands write."""

from __future__ import annotations

from pathlib import Path

import pytest

from remotemedia import AudioBuffer, AudioFormat
from remotemedia.cli.output import (
    outputs,
    progress,
    show_json,
    show_table,
    write_audio,
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
    assert outputs({"src": tone(1600)}, {"vad": '{"speech": true}', "raw": "text"}) == {
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
