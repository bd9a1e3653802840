"""Nothing is imported while a program connects or calls: its loop would stand still."""

from __future__ import annotations

import asyncio
import subprocess
import sys

from remotemedia.testing import LocalService

PROGRAM = """
import asyncio, sys

from remotemedia import AudioBuffer, AudioFormat, RemoteMediaClient

MANIFEST = {
    "version": "v1",
    "metadata": {"name": "imports"},
    "nodes": [{"id": "src", "node_type": "PassThrough"}],
}


async def main(address):
    buffer = AudioBuffer(
        samples=bytes(640), sample_rate=16_000, channels=1, format=AudioFormat.F32
    )
    before = set(sys.modules)
    async with RemoteMediaClient(address) as client:
        await client.get_version()
        await client.execute_pipeline(MANIFEST, {"src": buffer})
        async for _ in client.stream_pipeline(MANIFEST, [("src", buffer)]):
            pass
    print(*sorted(set(sys.modules) - before))


asyncio.run(main(sys.argv[1]))
"""


async def test_connecting_and_calling_import_nothing() -> None:
    async with LocalService() as service:
        port = service.address.rpartition(":")[2]
        for address in (service.address, f"localhost:{port}"):
            done = await asyncio.to_thread(
                subprocess.run,
                [sys.executable, "-c", PROGRAM, address],
                capture_output=True,
                text=True,
                check=True,
            )
            assert done.stdout.split() == []
