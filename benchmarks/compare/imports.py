"""What importing costs, each time in a fresh process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping

from benchmarks.compare.clients import GRPC_AIO, OURS, READY_MADE
from benchmarks.compare.results import Figures, Measured, Target

STATEMENTS = {
    OURS: "from remotemedia import AudioBuffer, RemoteMediaClient",
    GRPC_AIO: "import grpc.aio, common_pb2, execution_pb2_grpc, streaming_pb2_grpc",
    READY_MADE: "import grpclib.client",
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


def measure(rounds: int, environment: Mapping[str, str]) -> list[Measured]:
    """Import each client again and again, with and without numpy beside it.

    All are compiled, as an installed package is.
    """
    environment = {**environment, "PYTHONDONTWRITEBYTECODE": ""}
    alone = Measured("import", {"wall_ms": Target(1.0)})
    beside = Measured("import, with numpy", {})
    for measured, more in ((alone, ""), (beside, "; import numpy")):
        for client, statement in STATEMENTS.items():
            # The first time compiles what is new.
            _import(statement + more, environment)
            measured.rounds[client, "asyncio"] = []
        for _ in range(rounds):
            for client, statement in STATEMENTS.items():
                measured.add(client, "asyncio", _import(statement + more, environment))
    return [alone, beside]


def _import(statement: str, environment: Mapping[str, str]) -> Figures:
    run = subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(statement=statement)],
        stdout=subprocess.PIPE,
        env=environment,
        check=True,
    )
    figures: Figures = json.loads(run.stdout)
    return figures
