"""Runs the gRPC cases of the Connect project's suite: `python -m conformance.connect`.

The suite is built with Go, at a fixed version, into `build/connect`, and the package of
its protos is generated there as well, by `python -m codegen`. The exit status is 0 if
all cases pass, and their number is the expected one. Otherwise it is 1.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from conformance.oracle import REPOSITORY

MODULE = "connectrpc.com/conformance"
VERSION = "v1.0.7"
GO_VERSION = "1.26"
# The number of cases in that version. If fewer pass, some were left out.
CASES = 646

FEATURES = Path(__file__).with_name("features.yaml")
BUILD = REPOSITORY / "build" / "connect"


def main() -> int:
    """Build the suite, generate its messages, run it, and print the result."""
    if shutil.which("go") is None:
        print(
            "connect-conformance: the suite is a program in Go, and `go` is not on "
            f"PATH. Install Go {GO_VERSION}; one from 1.21 on fetches it by itself.",
            file=sys.stderr,
        )
        return 1
    suite, package = build_suite(), generate()
    command = [str(suite), "--mode", "client", "--conf", str(FEATURES), "--"]
    command += [sys.executable, "-m", "conformance.connect.client", str(package)]
    run = subprocess.run(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, check=False
    )
    print(run.stdout, end="")
    found = re.search(r"^(\d+) passed, (\d+) failed$", run.stdout, re.M)
    passed = int(found[1]) if found else 0
    print(f"connect-conformance: {passed} of {CASES} gRPC cases pass")
    return 0 if run.returncode == 0 and passed == CASES else 1


def build_suite() -> Path:
    """Build the suite's program, unless it was built before; return its path."""
    folder = BUILD / VERSION
    path = folder / "connectconformance"
    if not path.exists():
        subprocess.run(
            ["go", "install", f"{MODULE}/cmd/connectconformance@{VERSION}"],
            env={**os.environ, "GOBIN": str(folder)},
            check=True,
        )
    return path


def generate() -> Path:
    """Generate the messages and stubs; return the folder with the package."""
    download = subprocess.run(
        ["go", "mod", "download", "-json", f"{MODULE}@{VERSION}"],
        stdout=subprocess.PIPE,
        check=True,
    )
    protos = Path(json.loads(download.stdout)["Dir"], "proto")
    generated = BUILD / "generated"
    # What another version of the generator wrote is of no use.
    shutil.rmtree(generated, ignore_errors=True)
    generated.mkdir(parents=True)
    command = [sys.executable, "-m", "codegen"]
    command += ["--protos", str(protos), "--out", str(generated)]
    subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL)
    return generated


if __name__ == "__main__":
    raise SystemExit(main())
