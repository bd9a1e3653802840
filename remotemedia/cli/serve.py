"""``remotemedia serve``: the embedded service, until it is interrupted."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import get_args

import click

from remotemedia.cli import options
from remotemedia.contracts import ContractName
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
@click.option(
    "--contract",
    type=click.Choice(get_args(ContractName)),
    default="audio",
    show_default=True,
    help="The set of messages that the service speaks.",
)
@click.option(
    "--tls-cert",
    type=options.EXISTING_FILE,
    help="A file with the service's certificate and its chain, in PEM; serves TLS.",
)
@click.option(
    "--tls-key",
    type=options.EXISTING_FILE,
    help="The certificate's private key, if it is not in the same file.",
)
@options.token_file
def serve(
    host: str,
    port: int,
    contract: ContractName,
    tls_cert: Path | None,
    tls_key: Path | None,
    token_file: Path | None,
) -> None:
    """Run the embedded service, for trials and tests; it prints its address.

    With a token, calls must carry it.
    """
    service = LocalService(
        host=host,
        port=port,
        token=options.read_token(token_file),
        ssl=tls_context(tls_cert, tls_key),
        contract=contract,
    )
    hint = f"Serving the {contract} contract until Ctrl-C, at"
    asyncio.run(serve_until_stopped(service, hint))


def tls_context(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """The TLS context of a service with this certificate; None for plaintext.

    Raises:
        click.BadParameter: the files are not a certificate and its key.
    """
    if certificate is None:
        if key is not None:
            raise click.BadParameter("it needs --tls-cert", param_hint="--tls-key")
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key)
    except ssl.SSLError as error:
        raise click.BadParameter(
            f"no certificate in PEM, or not with its private key: {error.reason}",
            param_hint="--tls-cert",
        ) from error
    return context
