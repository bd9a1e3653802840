"""Runs `python -m codegen` over proto files at test time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from conformance import oracle
from tests.codec.values import pair_of

if TYPE_CHECKING:
    from tests.codec.values import Pair

PROTOS = Path(__file__).with_name("protos")


def generate(proto_dir: Path, out: Path, *packages: str) -> dict[str, Pair]:
    """Generate a folder of protos; return the messages of `packages` by full name."""
    command = [sys.executable, "-m", "codegen"]
    command += ["--protos", str(proto_dir), "--out", str(out)]
    subprocess.run(command, cwd=oracle.REPOSITORY, check=True)
    google = oracle.load(proto_dir)
    with oracle.importable(out):
        return {
            descriptor.full_name: pair_of(descriptor)
            for package in packages
            for descriptor in google.descriptors(package)
        }
