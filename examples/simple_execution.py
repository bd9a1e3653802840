"""Print the version of a service, and calculate with its CalculatorNode.

    python examples/simple_execution.py [--address HOST:PORT]

Without an address it starts the embedded reference service. A service may execute a
pipeline without returning its outputs; then the program says so.
"""

from __future__ import annotations

import argparse
import asyncio
import sys

from service import add_address_option, connect

from remotemedia import RemoteMediaClient, RemoteMediaError


async def run(address: str | None) -> None:
    """Run every example call against the service at `address`."""
    async with connect(address, "CalculatorNode") as (client, found):
        await show_version(client, found)
        for operation, sign in [
            ("add", "+"),
            ("subtract", "-"),
            ("multiply", "x"),
            ("divide", "/"),
        ]:
            await calculate(client, operation, sign)


async def show_version(client: RemoteMediaClient, address: str) -> None:
    """Print the version and the node types of the service."""
    version = await client.get_version()
    print(f"Service at {address}")
    print(f"  protocol {version.protocol_version}, runtime {version.runtime_version}")
    print(f"  nodes: {', '.join(version.supported_node_types)}")
    print()


async def calculate(client: RemoteMediaClient, operation: str, sign: str) -> None:
    """Run a pipeline with one calculator node, and print its result and metrics."""
    manifest = {
        "version": "v1",
        "metadata": {"name": f"calculator-{operation}"},
        "nodes": [
            {
                "id": "calc",
                "node_type": "CalculatorNode",
                "params": {"operation": operation, "operand": 4},
            }
        ],
    }
    result = await client.execute_pipeline(manifest, data_inputs={"calc": 10})
    metrics = result.metrics
    time = f"{metrics.wall_time_ms:8.3f} ms in the pipeline"
    if "calc" in metrics.node_metrics:
        time += f",{metrics.node_metrics['calc'].execution_time_ms:8.3f} ms in the node"
    if "calc" in result.data_outputs:
        print(f"10 {sign} 4 = {result.json('calc')!s:<5}{time}")
    else:
        print(f"10 {sign} 4: executed, but the service returned no output; {time}")


def main() -> int:
    """Parse the command line, run, and return the exit status."""
    parser = argparse.ArgumentParser(description="Calculate on a RemoteMedia service.")
    add_address_option(parser)
    arguments = parser.parse_args()
    try:
        asyncio.run(run(arguments.address))
    except (RemoteMediaError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
