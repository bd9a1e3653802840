"""Installs archives into a new environment, as users do, and runs what users run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sysconfig
import venv
from pathlib import Path

from release.process import ReleaseError, run

# What the command asks for where it lacks its extra.
EXTRA = "remotemedia[cli]"
# What is in the programs of the README that run as they are; the first needs no extra.
COMPLETE = re.compile(r"^(asyncio\.run\(|with LocalService\()", re.M)


class Environment:
    """A new environment, with the pip that comes with this Python."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, with_pip=True, symlinks=os.name != "nt")
        self._folder = folder
        self._programs = Path(sysconfig.get_path("scripts", vars={"base": str(folder)}))

    def run(self, program: str, *arguments: str | Path, fails: bool = False) -> str:
        """Run a program of the environment, outside the repository."""
        command = (self._programs / program, *arguments)
        return run(*command, cwd=self._folder, fails=fails)

    def install(self, *what: str | Path) -> None:
        """Install something, and what it depends on."""
        pip = ("-m", "pip", "--disable-pip-version-check", "install", "--quiet")
        self.run("python", *pip, *what)
        self.run("python", "-m", "pip", "check")

    def run_the_readme(self, project: Path, *, extras: bool) -> None:
        """Run the programs of the README that are complete, beside the examples."""
        readme = (project / "README.md").read_text()
        blocks = re.findall(r"^```python\n(.*?)^```", readme, re.M | re.S)
        programs = [block for block in blocks if COMPLETE.search(block)]
        if not programs:
            raise ReleaseError("README.md has no complete program")
        examples = self._folder / "examples"
        shutil.copytree(project / "examples", examples, dirs_exist_ok=True)
        for program in programs if extras else programs[:1]:
            self.run("python", "-c", program)

    def look_for_the_hint(self) -> None:
        """Run the command where it lacks its extra."""
        said = self.run("remotemedia", "version", fails=True)
        if f"pip install '{EXTRA}'" not in said:
            raise ReleaseError(f"the command does not say how to get it:\n{said}")

    def run_the_command(self, version: str) -> None:
        """Ask the command for its version, and then a service that it runs."""
        said = self.run("remotemedia", "--version")
        if version not in said:
            raise ReleaseError(f"the installed command is not of {version}:\n{said}")
        program = self._programs / "remotemedia"
        command = (program, "serve", "--port", "0")
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as service:
            try:
                assert service.stdout is not None
                address = service.stdout.readline().strip()
                said = self.run("remotemedia", "version", address, "--json")
            finally:
                service.kill()
        if json.loads(said)["contract"] != "audio":
            raise ReleaseError(
                f"the installed service does not say what it is:\n{said}"
            )
