"""Wheels, and new environments to install them into. Nothing is downloaded."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]


def build_wheel(project: Path, folder: Path) -> Path:
    """Build the wheel of a project into a new folder."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder],
        cwd=project,
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("*.whl")
    return wheel


class Environment:
    """A new environment; what its packages depend on is that of this environment."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, symlinks=os.name != "nt")
        paths = sysconfig.get_paths(vars={"base": str(folder)})
        self.programs = Path(paths["scripts"])
        self.packages = Path(paths["purelib"])
        dependencies = self.packages / "dependencies.pth"
        dependencies.write_text(sysconfig.get_path("purelib"))

    def pip(self, command: str, *arguments: str | Path) -> None:
        """Run a command of pip, such as ``install``."""
        program = [*PIP, f"--python={self.programs / 'python'}", command, "--quiet"]
        subprocess.run([*program, *arguments], check=True)

    def install(self, wheel: Path) -> None:
        """Install a wheel without its dependencies."""
        self.pip("install", "--no-deps", "--no-index", wheel)

    def run(
        self, program: str, *arguments: str | Path
    ) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment, outside the repository."""
        return subprocess.run(
            [self.programs / program, *arguments],
            cwd=self.packages,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
