"""``remotemedia serve``, in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from remotemedia import RemoteMediaError
from remotemedia.blocking import RemoteMediaClient


def test_it_serves_until_it_is_told_to_stop() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "remotemedia", "serve", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "REMOTEMEDIA_TOKEN": "secret"},
    ) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            with RemoteMediaClient(address, token="secret") as client:
                assert client.get_version().protocol_version == "v1"
            with pytest.raises(RemoteMediaError, match="missing"):
                RemoteMediaClient(address).connect()
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
