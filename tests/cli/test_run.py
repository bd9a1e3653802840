"""``remotemedia run``."""

from __future__ import annotations

import json
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pytest

from remotemedia import AudioBuffer
from remotemedia.cli.app import run
from remotemedia.testing import LocalService
from tests.cli.conftest import Command
from tests.support.pipelines import pipeline


def test_audio_goes_in_and_comes_out(
    command: Command, passing: Path, sound: Path, tmp_path: Path
) -> None:
    out_file = tmp_path / "out.wav"
    code, out, err = command(
        "run", passing, "--audio", f"src={sound}", "--out", out_file
    )
    assert (code, err) == (0, "")
    assert "0.3 s, 16000 Hz" in out
    assert AudioBuffer.from_file(out_file) == AudioBuffer.from_file(sound)


def test_data_goes_in_and_comes_out(command: Command, calculation: Path) -> None:
    code, out, err = command("run", calculation, "--data", "calc=2")
    assert (code, err) == (0, "")
    assert out.splitlines()[-2].split() == ["calc", "data", "5"]
    found = json.loads(command("run", calculation, "--data", "calc=2", "--json")[1])
    assert found["data"] == {"calc": 5}
    assert "wallTimeMs" in found["metrics"]


def test_data_is_shown_as_json(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "echo.json"
    path.write_text(json.dumps(pipeline("echo", "Echo")))
    out = command("run", path, "--data", 'echo={"yes": true, "no": null}')[1]
    assert '{"yes": true, "no": null}' in out
    out = command("run", path, "--data", f'echo="{"x" * 2000}"')[1]
    assert "characters; --json shows all)" in " ".join(out.split())
    assert out.count("x") < 1010


def test_no_audio_to_write_is_said(
    command: Command, calculation: Path, tmp_path: Path
) -> None:
    code, _, err = command(
        "run", calculation, "--data", "calc=2", "--out", tmp_path / "out.wav"
    )
    assert code == 2
    assert "exactly one audio output" in err


@pytest.mark.parametrize(
    ("pairs", "text"),
    [
        (["calc"], "'calc' must be NODE=VALUE"),
        (["=2"], "'=2' must be NODE=VALUE"),
        (["calc=1", "calc=2"], "two are for node 'calc'"),
    ],
)
def test_inputs_that_make_no_sense_are_refused(
    command: Command, calculation: Path, pairs: list[str], text: str
) -> None:
    options = [word for pair in pairs for word in ("--data", pair)]
    code, _, err = command("run", calculation, *options)
    assert code == 2
    assert text in err


def test_outputs_of_the_data_contract_are_shown(tmp_path: Path) -> None:
    path = tmp_path / "flip.json"
    path.write_text(json.dumps(pipeline("flip", "Flip")))
    nodes = {"Flip": lambda call: np.zeros((2, call.data), np.float32)}
    call = ["run", str(path), "--data", "flip=3", "--address"]
    with (
        LocalService(contract="data", nodes=nodes) as service,
        redirect_stdout(StringIO()) as out,
    ):
        assert run([*call, service.address]) == 0
        assert run([*call, service.address, "--json"]) == 0
    rows = [line.split() for line in out.getvalue().splitlines()]
    assert ["flip", "array", "float32", "(2,", "3)"] in rows
    found = json.loads(out.getvalue().splitlines()[-1])
    assert found["array"] == {"flip": {"dtype": "float32", "shape": [2, 3]}}
