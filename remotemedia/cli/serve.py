"""``remotemedia serve``: the embedded service, until it is interrupted."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import get_args

import click

from remotemedia.cli import options
from remotemedia.testing import LocalService
from remotemedia.testing.__main__ import serve as serve_until_stopped
from remotemedia.testing.front import Contract


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=50051,
    show_default=True,
    help="0 for any free port.",
)
@click.option(
    "--contract",
    type=click.Choice(get_args(Contract)),
    default="audio",
    show_default=True,
    help="The set of messages that the service speaks.",
)
@options.token_file
def serve(host: str, port: int, contract: Contract, token_file: Path | None) -> None:
    """Run the embedded service, for trials and tests; it prints its address.

    With a token, calls must carry it.
    """
    token = options.read_token(token_file)
    service = LocalService(host=host, port=port, token=token, contract=contract)
    asyncio.run(serve_until_stopped(service))
