"""Measure imports, each in a fresh process, and which packages take the time."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping

from benchmarks import stock
from benchmarks.compare.clients import GRPC_AIO, OURS, READY_MADE, SOCKET, STOCK
from benchmarks.compare.results import Figures, Measured, Target

STATEMENTS = {
    OURS: "from remotemedia import AudioBuffer, RemoteMediaClient",
    GRPC_AIO: "import grpc.aio, common_pb2, execution_pb2_grpc, streaming_pb2_grpc",
    STOCK: f"import grpclib.client, {stock.PACKAGE}",
    READY_MADE: "import grpclib.client",
    SOCKET: "import asyncio",
}
# The package that a module counts for. Other modules count for the one that imports
# them.
OWNERS = {
    "asyncio": "asyncio",
    "betterproto": "betterproto",
    **dict.fromkeys(("grpclib", "multidict"), "grpclib"),
    **dict.fromkeys(("h2", "hpack", "hyperframe"), "h2"),
    "remotemedia": "remotemedia",
}
_PROGRAM = """
import json, time
wall, cpu = time.perf_counter(), time.process_time()
{statement}
print(json.dumps({{
    "processor_ms": (time.process_time() - cpu) * 1000,
    "wall_ms": (time.perf_counter() - wall) * 1000,
}}))
"""
# A line of `-X importtime` has microseconds, and a module indented by its depth. A
# module comes after the modules that it imports.
_IMPORTED = re.compile(r"import time: +(\d+) \| +\d+ \|( +)(\S+)")


def measure(rounds: int, environment: Mapping[str, str]) -> list[Measured]:
    """Import each client in each round, with numpy and without.

    All are compiled, as an installed package is.
    """
    alone = Measured("import", {"wall_ms": Target(1.0)})
    beside = Measured("import, with numpy", {})
    for measured, more in ((alone, ""), (beside, "; import numpy")):
        for client, statement in STATEMENTS.items():
            # The first import compiles modules that have no bytecode yet.
            _import(statement + more, environment)
            measured.rounds[client, "asyncio"] = []
        for _ in range(rounds):
            for client, statement in STATEMENTS.items():
                measured.add(client, "asyncio", _import(statement + more, environment))
    return [alone, beside]


def shares(environment: Mapping[str, str]) -> dict[str, float]:
    """Return the percentage of our import time by package, the largest first."""
    run = _run(
        environment, "-X", "importtime", "-c", STATEMENTS[OURS], stderr=subprocess.PIPE
    )
    above: list[tuple[int, str | None]] = []
    times: Counter[str] = Counter()
    for line in reversed(run.stderr.splitlines()):
        found = _IMPORTED.fullmatch(line)
        if found is None:
            continue
        time_us, depth, name = int(found[1]), len(found[2]), found[3]
        while above and above[-1][0] >= depth:
            above.pop()
        importer = above[-1][1] if above else None
        owner = OWNERS.get(name.partition(".")[0], importer)
        above.append((depth, owner))
        if owner is not None:
            times[owner] += time_us
    total = sum(times.values())
    return {owner: time_us / total * 100 for owner, time_us in times.most_common()}


def _import(statement: str, environment: Mapping[str, str]) -> Figures:
    run = _run(environment, "-c", _PROGRAM.format(statement=statement))
    figures: Figures = json.loads(run.stdout)
    return figures


def _run(
    environment: Mapping[str, str], *arguments: str, stderr: int | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        env={**environment, "PYTHONDONTWRITEBYTECODE": ""},
        check=True,
    )
