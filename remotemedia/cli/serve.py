"""``remotemedia serve``: the embedded service, until it is interrupted."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from remotemedia.cli import options
from remotemedia.testing import LocalService
from remotemedia.testing.__main__ import serve as serve_until_stopped


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=50051,
    show_default=True,
    help="0 for any free port.",
)
@options.token_file
def serve(host: str, port: int, token_file: Path | None) -> None:
    """Run the embedded service, for trials and tests; it prints its address.

    With a token, calls must carry it.
    """
    token = options.read_token(token_file)
    asyncio.run(serve_until_stopped(LocalService(host=host, port=port, token=token)))
