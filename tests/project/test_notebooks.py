"""The notebooks run from top to bottom, and are kept without what they show."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[2] / "examples/notebooks").glob("*.ipynb"))
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def opened(path: Path) -> Any:
    return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]  # it has no types


def executed(name: str) -> tuple[list[Any], str]:
    """Run a notebook in its folder; return what its cells show, and all text of it."""
    (path,) = [path for path in NOTEBOOKS if path.stem == name]
    notebook = opened(path)
    NotebookClient(
        notebook, timeout=60, resources={"metadata": {"path": str(path.parent)}}
    ).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    text = ""
    for output in outputs:
        assert output.get("name") != "stderr", output.text
        text += output.get("text", output.get("data", {}).get("text/plain", "")) + "\n"
    return outputs, text


def test_a_first_pipeline() -> None:
    outputs, text = executed("first_pipeline")
    html = [
        output.data["text/html"] for output in outputs if "text/html" in output.data
    ]
    audio, result = html
    assert "<svg" in audio
    assert "<audio" in audio
    assert "has_speech" in result
    # The clip says three phrases, with pauses between them.
    (verdicts,) = [line for line in text.splitlines() if "##" in line]
    assert len(verdicts.strip("'.").replace("..", " ").split()) >= 3
    assert text.splitlines()[-1] == "True"


def test_a_live_stream() -> None:
    outputs, text = executed("live_stream")
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == 2
    assert "of 56 chunks have speech in them" in text
    (slowest,) = re.findall(r"56 chunks; the slowest took ([0-9.]+) s", text)
    assert float(slowest) >= 1.0  # as the fault says


@every_notebook
def test_outputs_are_not_kept(path: Path) -> None:
    notebook = opened(path)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
        assert cell.metadata == {}
