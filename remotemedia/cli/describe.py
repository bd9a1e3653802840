"""``remotemedia version`` and ``check``: what a service is, and a manifest."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

import click

from remotemedia.cli import options
from remotemedia.cli.output import show_json, show_table
from remotemedia.errors import RemoteMediaError
from remotemedia.manifest import to_manifest
from remotemedia.v1 import ErrorType


@click.command()
@click.argument(
    "address", envvar=options.ADDRESS_VARIABLE, default=options.DEFAULT_ADDRESS
)
@options.as_json
@options.connects
def version(make_client: options.MakeClient, *, address: str, as_json: bool) -> None:
    """Show what the service at ADDRESS is, and which node types it has."""
    with make_client(address) as client:
        info = client.get_version()
        contract = client.contract
    if as_json:
        show_json({"contract": contract, **info.to_dict()})
        return
    show_table(
        address,
        ("", ""),
        [
            ("protocol", info.protocol_version),
            ("runtime", info.runtime_version),
            ("contract", contract),
            ("built", info.build_timestamp),
            ("protocols", ", ".join(info.supported_protocols)),
            ("node types", "\n".join(info.supported_node_types)),
        ],
    )


@click.command()
@options.manifest
@click.option("--address", help="Ask the service there for its node types.")
@options.as_json
@options.connects
def check(
    make_client: options.MakeClient,
    *,
    manifest: Path,
    address: str | None,
    as_json: bool,
) -> None:
    """Check a manifest against the rules, and its node types against a service."""
    checked = to_manifest(manifest)
    unchecked = "pass --address"
    if address is not None:
        with make_client(address) as client:
            known = set(client.get_version().supported_node_types)
        # A service of the data contract may list none, and have them all the same.
        unchecked = "" if known else "the service lists none"
        for node in checked.nodes:
            if known and node.node_type not in known:
                close = get_close_matches(node.node_type, known, 1)
                advice = f"did you mean {close[0]!r}? It has" if close else "it has"
                raise RemoteMediaError(
                    f"the service has no node type {node.node_type!r}; {advice}: "
                    f"{', '.join(sorted(known))}",
                    error_type=ErrorType.VALIDATION,
                    failing_node_id=node.id,
                    address=address,
                    operation="check",
                )
    if as_json:
        show_json({"name": checked.metadata.name, "nodes": len(checked.nodes)})
        return
    after: dict[str, list[str]] = {node.id: [] for node in checked.nodes}
    for connection in checked.connections:
        after[connection.from_].append(connection.to)
    show_table(
        f"{checked.metadata.name}: the manifest is right"
        + (f" (node types were not checked: {unchecked})" if unchecked else ""),
        ("node", "type", "goes to"),
        [
            (node.id, node.node_type, ", ".join(after[node.id]))
            for node in checked.nodes
        ],
    )
