"""The options that commands share: where the service is, and who is calling."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeAlias, get_args

import click

from remotemedia.blocking import RemoteMediaClient
from remotemedia.contracts import ContractName
from remotemedia.grpc import TLS

MakeClient: TypeAlias = "Callable[[str], RemoteMediaClient]"
"""Makes a client for an address."""

TOKEN_VARIABLE = "REMOTEMEDIA_TOKEN"  # noqa: S105 - the name of a variable
ADDRESS_VARIABLE = "REMOTEMEDIA_ADDRESS"
DEFAULT_ADDRESS = "localhost:50051"

_Decorator: TypeAlias = "Callable[[Callable[..., None]], Callable[..., None]]"

EXISTING_FILE: click.Path = click.Path(exists=True, dir_okay=False, path_type=Path)
NEW_FILE: click.Path = click.Path(dir_okay=False, path_type=Path)

address: _Decorator = click.option(
    "--address",
    envvar=ADDRESS_VARIABLE,
    default=DEFAULT_ADDRESS,
    show_default=True,
    show_envvar=True,
    metavar="HOST:PORT",
    help="Where the service is; also [v6]:port and unix:/path.",
)
manifest: _Decorator = click.argument("manifest", type=EXISTING_FILE)
as_json: _Decorator = click.option(
    "--json", "as_json", is_flag=True, help="Write JSON."
)
token_file: _Decorator = click.option(
    "--token-file",
    type=EXISTING_FILE,
    help=f"A file with the bearer token; else the variable {TOKEN_VARIABLE} has it.",
)


def connects(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a connection, and a ``MakeClient`` as argument."""

    @token_file
    @click.option("--tls", is_flag=True, help="Connect with TLS.")
    @click.option(
        "--tls-ca",
        type=EXISTING_FILE,
        help="A file with the authorities to trust, in PEM; implies --tls.",
    )
    @click.option(
        "--timeout",
        type=click.FloatRange(min=0, min_open=True),
        default=30.0,
        show_default=True,
        help="Seconds that a call may take; of a stream, its opening and its closing.",
    )
    @click.option(
        "--contract",
        type=click.Choice(get_args(ContractName)),
        help="The set of messages that the service speaks; by default, the one of the "
        "version that it states.",
    )
    @wraps(command)
    def call(
        *,
        token_file: Path | None,
        tls: bool,
        tls_ca: Path | None,
        timeout: float,
        contract: ContractName | None,
        **arguments: Any,
    ) -> None:
        # The results of either contract have what those of audio have.
        make: Any = RemoteMediaClient

        def make_client(address: str) -> RemoteMediaClient:
            client: RemoteMediaClient = make(
                address,
                contract=contract,
                token=read_token(token_file),
                ssl=TLS(ca=tls_ca) if tls_ca else tls,
                timeout=timeout,
            )
            return client

        command(make_client, **arguments)

    return call


def read_token(file: Path | None) -> str | None:
    """The token of a file, or else of the environment. It is never an argument, which
    other users of the machine could see.

    Raises:
        OSError: the file cannot be read.
    """
    if file is not None:
        return file.read_text(encoding="utf-8").strip()
    return os.environ.get(TOKEN_VARIABLE) or None
