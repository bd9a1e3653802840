"""Runs the embedded service alone: ``python -m remotemedia.testing --port 50051``.

It prints its address once it is ready, and ends on SIGINT or SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys

from remotemedia.testing.service import LocalService


async def serve(service: LocalService) -> None:
    """Run the service until a signal says that it is enough."""
    enough = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        # Not loop.add_signal_handler, which Windows has not.
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(enough.set))
    async with service:
        print(service.address, flush=True)  # noqa: T201 - what it is started for
        await enough.wait()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(
        prog="python -m remotemedia.testing",
        description="Run a RemoteMedia pipeline service for tests.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="default: %(default)s")
    parser.add_argument(
        "--port", type=int, default=50051, help="0 for any; default: %(default)s"
    )
    parser.add_argument(
        "--token-env",
        metavar="NAME",
        help="the environment variable with the token that calls must show",
    )
    options = parser.parse_args()
    token = None
    if options.token_env is not None:
        token = os.environ.get(options.token_env)
        if not token:
            parser.error(f"--token-env: the variable {options.token_env} is not set")
    service = LocalService(host=options.host, port=options.port, token=token)
    try:
        asyncio.run(serve(service))
    except OSError as error:
        sys.exit(f"cannot listen on {options.host}:{options.port}: {error.strerror}")


if __name__ == "__main__":
    main()
