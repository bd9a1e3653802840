"""The process of one client, which runs scenarios on request.

    python -m benchmarks.compare.worker CLIENT EVENT_LOOP ADDRESS

The client is a module of ``benchmarks.compare.clients``.
Each line of its input is the name of a scenario and a count. It answers each with a
line of JSON: the figures, or an empty object if the scenario failed.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import traceback
from typing import Any

from benchmarks.compare.clients import make
from benchmarks.compare.loops import EVENT_LOOPS
from benchmarks.compare.results import Figures
from benchmarks.compare.scenarios import CONNECTIONS, SCENARIOS

# A guard against hangs, far above what any scenario takes.
TIMEOUT_S = 120.0


async def connect(name: str, address: str) -> list[Any]:
    """Open the connections of the client."""
    clients = [make(name) for _ in range(CONNECTIONS)]
    for client in clients:
        await client.connect(address)
    return clients


async def measure(clients: list[Any], name: str, count: int) -> Figures:
    """Run a scenario, with a time limit."""
    gc.collect()
    work = SCENARIOS[name].measure(clients, count)
    figures: Figures = await asyncio.wait_for(work, TIMEOUT_S)
    return figures


async def close(clients: list[Any]) -> None:
    """Close the connections."""
    for client in clients:
        await client.close()
    # Transports close in the next iteration of the event loop.
    await asyncio.sleep(0)


def main() -> None:
    """Run the scenarios that standard input names, until it ends."""
    name, event_loop, address = sys.argv[1:]
    loop = EVENT_LOOPS[event_loop]()
    asyncio.set_event_loop(loop)
    clients = loop.run_until_complete(connect(name, address))
    for line in sys.stdin:
        scenario, count = line.split()
        figures: Figures = {}
        try:
            figures = loop.run_until_complete(measure(clients, scenario, int(count)))
        except Exception:  # noqa: BLE001 - one failed scenario must not end the run
            traceback.print_exc()
        print(json.dumps(figures), flush=True)
    loop.run_until_complete(close(clients))
    loop.close()


if __name__ == "__main__":
    main()
