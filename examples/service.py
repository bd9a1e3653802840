"""Where the examples find their service: at an address, or in their own process.

The embedded reference service has every node type that the examples use. A service
elsewhere may lack some of them, so the examples compare before they start.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from remotemedia import RemoteMediaClient
from remotemedia.testing import LocalService


def add_address_option(parser: ArgumentParser) -> None:
    """Give a program the option `--address`."""
    parser.add_argument(
        "--address",
        metavar="HOST:PORT",
        help="the service; without it, the embedded service is started",
    )


@asynccontextmanager
async def connect(
    address: str | None, *needed: str
) -> AsyncIterator[tuple[RemoteMediaClient, str]]:
    """Connect to a service, and say on stderr which node types it lacks.

    Args:
        address: the service; None for the embedded one, which is started.
        needed: the node types that the program's manifest has.

    Yields:
        The connected client, and the address.
    """
    async with AsyncExitStack() as stack:
        if address is None:
            service = await stack.enter_async_context(LocalService())
            address = service.address
        client = await stack.enter_async_context(RemoteMediaClient(address))
        supported = (await client.get_version()).supported_node_types
        missing = sorted(set(needed).difference(supported))
        if missing:
            print(
                f"note: the service at {address} has no {', '.join(missing)}; it has "
                f"{', '.join(sorted(supported))}. It may refuse the pipeline, or leave "
                "out what these nodes would do.",
                file=sys.stderr,
            )
        yield client, address
