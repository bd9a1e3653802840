"""Draws ``docs/images/terminal.svg``: the command line, from a real run of it.

``python -m tests.docs.terminal`` draws it; a test compares the picture with what the
command writes today.
"""

from __future__ import annotations

import io
import os
import shlex
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from remotemedia.testing import LocalService

REPOSITORY = Path(__file__).resolve().parents[2]
PICTURE = REPOSITORY / "docs" / "images" / "terminal.svg"
COMMAND = "remotemedia stream examples/vad.json examples/data/speech.wav --chunk-ms 500"
WIDTH = 80

# The frame of a terminal, with the reader's own font: rich's would be loaded from
# another host.
FRAME = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">
<title>What remotemedia stream writes: a line for each chunk of speech</title>
<style>
.{unique_id}-matrix {{
  font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
  font-size: {char_height}px; line-height: {line_height}px;
}}
{styles}
</style>
<defs>{lines}</defs>
<rect width="{width}" height="{height}" rx="8" fill="#292929"/>
<g transform="translate({terminal_x}, {terminal_y})">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def output(address: str) -> str:
    """What the command writes to a terminal, without the progress bar."""
    program, *arguments = shlex.split(COMMAND)
    run = subprocess.run(
        [sys.executable, "-m", program, *arguments],
        cwd=REPOSITORY,
        env={
            **os.environ,
            "REMOTEMEDIA_ADDRESS": address,
            "COLUMNS": str(WIDTH),
            "TERM": "xterm-256color",
            "FORCE_COLOR": "1",
            "TTY_INTERACTIVE": "0",
        },
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=True,
    )
    return run.stdout


def draw() -> str:
    """Run the command, and return the picture of what it wrote."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    with LocalService() as service:
        console.print(Text.assemble(("$ ", "bold green"), COMMAND))
        console.print(Text.from_ansi(output(service.address)))
    return console.export_svg(code_format=FRAME, theme=MONOKAI, unique_id="terminal")


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
