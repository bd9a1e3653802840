"""``remotemedia stream``, and the picture that it draws."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from remotemedia import AudioBuffer
from remotemedia.testing import Fault, LocalService
from tests.cli.conftest import Command
from tests.support.pipelines import pipeline


def test_a_file_is_streamed(
    command: Command, passing: Path, sound: Path, tmp_path: Path
) -> None:
    out_file = tmp_path / "out.wav"
    code, out, err = command("stream", passing, sound, "--out", out_file)
    assert (code, err) == (0, "")
    assert [line.split() for line in out.splitlines()[:3]] == [
        ["0", "0.00", "s", "src", "0.1", "s", "audio"],
        ["1", "0.10", "s", "src", "0.1", "s", "audio"],
        ["2", "0.20", "s", "src", "0.1", "s", "audio"],
    ]
    assert "tone.wav through test" in out
    assert AudioBuffer.from_file(out_file) == AudioBuffer.from_file(sound)


def test_each_result_is_a_line_of_json(
    command: Command, passing: Path, sound: Path
) -> None:
    code, out, _ = command("stream", passing, sound, "--json", "--chunk-ms", 50)
    assert code == 0
    *results, last = map(json.loads, out.splitlines())
    assert [result["sequence"] for result in results] == list(range(6))
    assert results[0]["audio"]["src"]["seconds"] == 0.05
    assert (last["summary"]["chunks"], last["summary"]["seconds"]) == (6, 0.3)


def test_a_live_stream_keeps_the_pace(
    command: Command,
    passing: Path,
    sound: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0)
    assert command("stream", passing, sound, "--live", "--json")[0] == 0
    assert waits == pytest.approx([0.1, 0.2, 0.3])


def test_the_node_can_be_chosen(command: Command, sound: Path, tmp_path: Path) -> None:
    manifest = pipeline("left", "PassThrough")
    manifest["nodes"].append({"id": "right", "node_type": "PassThrough"})
    path = tmp_path / "two.json"
    path.write_text(json.dumps(manifest))
    code, _, err = command("stream", path, sound)
    assert code == 2
    assert "left, right" in err
    code, out, _ = command("stream", path, sound, "--node", "right", "--json")
    assert code == 0
    assert json.loads(out.splitlines()[0])["audio"].keys() == {"right"}


def test_a_failure_ends_it(
    command: Command, passing: Path, sound: Path, service: LocalService
) -> None:
    service.add_fault(Fault.reset(at_chunk=1))
    assert command("stream", passing, sound)[0] not in (0, 2)


def test_a_picture_is_drawn(
    command: Command, passing: Path, sound: Path, tmp_path: Path
) -> None:
    picture = tmp_path / "picture.png"
    assert command("stream", passing, sound, "--plot", picture)[0] == 0
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_what_cannot_be_written_is_refused_before_anything_is_sent(
    command: Command, passing: Path, sound: Path, tmp_path: Path
) -> None:
    before = sound.read_bytes()
    link = tmp_path / "link.wav"
    link.symlink_to(sound)
    for option, path, why in (
        ("--out", sound, "it is the file that is streamed"),
        ("--out", link, "it is the file that is streamed"),
        ("--out", tmp_path / "none" / "a.wav", "no folder"),
        ("--plot", tmp_path / "none" / "a.png", "no folder"),
        ("--plot", tmp_path / "a.xyz", "as a picture does"),
    ):
        code, out, err = command("stream", passing, sound, option, path)
        assert (code, out) == (2, "")
        assert why in err
    assert sound.read_bytes() == before
