"""One service is killed and comes back, and the other drains, under load."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import pytest

from remotemedia.testing import Fault, LocalService
from tests.fleet.balancers import Balancer, HAProxy, Nginx
from tests.fleet.load import Load
from tests.support.processes import address_of, service_process


@asynccontextmanager
async def load_on(addresses: str | list[str]) -> AsyncIterator[Load]:
    """Put load on a fleet meanwhile. Afterwards, there must be no problems."""
    load = Load(addresses)
    async with load.client:
        running = asyncio.create_task(load.run())
        try:
            yield load
        finally:
            load.stop()
            await running
    assert not load.problems, load.errors


@pytest.mark.parametrize("kind", [HAProxy, Nginx])
async def test_behind_a_load_balancer(kind: type[Balancer], tmp_path: Path) -> None:
    with ExitStack() as stack:
        processes = [stack.enter_context(service_process()) for _ in range(2)]
        services = [address_of(process) for process in processes]
        async with (
            kind(tmp_path, services) as balancer,
            load_on(balancer.address) as load,
        ):
            await load.more()
            assert load.failed_streams == 0
            assert load.repeats == 0

            processes[0].kill()
            await load.more(100)

            port = services[0].rpartition(":")[2]
            back = stack.enter_context(service_process("--port", port))
            assert address_of(back) == services[0]
            await asyncio.sleep(0.2)  # for the balancer to notice
            failed = load.failed_streams
            await balancer.drain(1)
            await load.more(100)
            # Nothing is lost with a service that drains, or with a balancer that
            # replaces its workers; what those refuse is made again.
            assert load.failed_streams == failed


async def test_without_a_load_balancer() -> None:
    with ExitStack() as stack:
        processes = [stack.enter_context(service_process()) for _ in range(2)]
        services = [address_of(process) for process in processes]
        async with load_on(services) as load:
            await load.more()
            assert load.failed_streams == 0
            assert load.repeats == 0

            processes[0].kill()
            await load.more(100)

            port = services[0].rpartition(":")[2]
            back = stack.enter_context(service_process("--port", port))
            assert address_of(back) == services[0]
            await load.more(30)
            processes[1].kill()
            await load.more(100)


@pytest.mark.parametrize("refuses", [False, True])
async def test_servers_that_end_their_connections_lose_nothing(refuses: bool) -> None:
    """Calls finish on the old connection, or were refused and are made again."""
    async with (
        LocalService() as one,
        LocalService() as other,
        load_on([one.address, other.address]) as load,
    ):
        for service in [one, other] * 5:
            service.add_fault(Fault.go_away(refuses=refuses))
            await load.more(10)
        assert load.failed_streams == 0
