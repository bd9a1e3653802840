"""Compare our client with grpc.aio and stock betterproto, against one server.

    python -m benchmarks.compare [--quick] [--out FOLDER]

The program writes ``benchmarks.md`` and ``benchmarks.svg``. Every client has a process
of its own. All run the same scenarios, in turn and in several rounds, so that other
load on the machine affects all of them alike. The full run takes about 15 minutes.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import stock
from benchmarks.compare import chart, imports, report
from benchmarks.compare.clients import GRPC_AIO, OURS, READY_MADE, SOCKET, STOCK
from benchmarks.compare.loops import EVENT_LOOPS
from benchmarks.compare.processes import Processes, Worker
from benchmarks.compare.results import Measured
from benchmarks.compare.scenarios import SCENARIOS, Scenario
from conformance import oracle

ROUNDS, QUICK_ROUNDS = 7, 1
# Stock betterproto is so much slower that another event loop makes no difference.
CLIENTS = {
    "asyncio": (OURS, GRPC_AIO, STOCK, READY_MADE, SOCKET),
    "uvloop": (OURS, GRPC_AIO, READY_MADE, SOCKET),
}


def compare(
    processes: Processes, workers: Sequence[Worker], *, quick: bool
) -> list[Measured]:
    """Run every scenario, and return what was measured."""
    rounds = QUICK_ROUNDS if quick else ROUNDS
    found = []
    for name, scenario in SCENARIOS.items():
        say(scenario.title)
        measured = Measured(scenario.title, scenario.targets)
        for number in range(min(rounds, scenario.rounds)):
            for worker in turns(workers, number, scenario):
                count = scenario.quick_count if quick else scenario.count
                if scenario.is_fresh:
                    with processes.worker(
                        worker.client, worker.event_loop, scenario.server
                    ) as fresh:
                        figures = fresh.measure(name, count)
                else:
                    figures = worker.measure(name, count)
                measured.add(worker.client, worker.event_loop, figures)
        for line in report.rows(measured, "asyncio"):
            say("  " + line)
        found.append(measured)
    say("import")
    return found + imports.measure(rounds, processes.environment)


def turns(workers: Sequence[Worker], number: int, scenario: Scenario) -> list[Worker]:
    """Return the workers of a scenario. Another one comes first in each round."""
    chosen = [
        worker
        for worker in workers
        if worker.client in scenario.clients
        and worker.event_loop in scenario.event_loops
    ]
    start = number % len(chosen)
    return chosen[start:] + chosen[:start]


def say(text: str) -> None:
    """Report progress on standard error."""
    print(f"{time.perf_counter() - STARTED:5.0f} s  {text}", file=sys.stderr)


STARTED = time.perf_counter()


def main() -> None:
    """Read the arguments, measure, and write the documents."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--quick", action="store_true", help="only see that it works")
    parser.add_argument(
        "--out", type=Path, default=Path("docs/explanation"), help="where to write"
    )
    arguments = parser.parse_args()
    setting = report.setting(quick=arguments.quick)
    with ExitStack() as stack:
        modules = Path(stack.enter_context(TemporaryDirectory()))
        (modules / "data").mkdir()
        for protos, out in (
            (oracle.CONTRACT, modules),
            (oracle.DATA_CONTRACT, modules / "data"),
        ):
            oracle.protoc(protos, f"--python_out={out}", f"--grpc_python_out={out}")
        stock.generate(modules)
        processes = Processes(modules, stack)
        workers = [
            stack.enter_context(processes.worker(client, event_loop))
            for event_loop in EVENT_LOOPS
            for client in CLIENTS[event_loop]
        ]
        found = compare(processes, workers, quick=arguments.quick)
        import_shares = imports.shares(processes.environment)
    arguments.out.mkdir(parents=True, exist_ok=True)
    document = arguments.out / "benchmarks.md"
    document.write_text(
        report.document(found, import_shares, setting), encoding="utf-8"
    )
    chart.draw(found, arguments.out / "benchmarks.svg")
    print(document.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
