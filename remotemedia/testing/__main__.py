"""The embedded service as a program: ``python -m remotemedia.testing --port 50051``.

The program prints the address of the service when it accepts calls, and exits on
SIGINT or SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from typing import get_args

from remotemedia.contracts import ContractName
from remotemedia.testing.service import LocalService


async def serve(service: LocalService, hint: str = "") -> None:
    """Run the service until SIGINT or SIGTERM arrives.

    Args:
        service: the service.
        hint: what a person is told when it serves. Programs read the address, which
            alone goes to standard output.
    """
    is_stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        # Windows has no loop.add_signal_handler.
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(is_stopped.set))
    async with service:
        if hint:
            print(hint, file=sys.stderr, flush=True)  # noqa: T201 - as said above
        print(service.address, flush=True)  # noqa: T201 - for whoever started it
        await is_stopped.wait()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(
        prog="python -m remotemedia.testing",
        description="Run a RemoteMedia pipeline service for tests.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="default: %(default)s")
    parser.add_argument(
        "--port",
        type=int,
        default=50051,
        help="0 for any free port; default: %(default)s",
    )
    parser.add_argument(
        "--token-env",
        metavar="NAME",
        help="the environment variable with the bearer token that calls must carry",
    )
    parser.add_argument(
        "--max-request-bytes",
        type=int,
        metavar="BYTES",
        help="the largest request message that is accepted; default: the contract's",
    )
    parser.add_argument(
        "--contract",
        choices=get_args(ContractName),
        default="audio",
        help="the set of messages that the service speaks; default: %(default)s",
    )
    options = parser.parse_args()
    if options.max_request_bytes is not None and options.max_request_bytes <= 0:
        parser.error("--max-request-bytes: the number must be positive")
    token = None
    if options.token_env is not None:
        token = os.environ.get(options.token_env)
        if not token:
            parser.error(f"--token-env: the variable {options.token_env} is not set")
    service = LocalService(
        host=options.host,
        port=options.port,
        token=token,
        max_request_bytes=options.max_request_bytes,
        contract=options.contract,
    )
    try:
        asyncio.run(serve(service))
    except OSError as error:
        sys.exit(f"cannot listen on {options.host}:{options.port}: {error.strerror}")


if __name__ == "__main__":
    main()
