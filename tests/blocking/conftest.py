"""A service in another thread, and a blocking client of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from remotemedia.blocking import RemoteMediaClient
from remotemedia.testing import LocalService


@pytest.fixture(params=["audio", "data"])
def service(request: pytest.FixtureRequest) -> Iterator[LocalService]:
    """A service of each contract, which runs on the background loop."""
    with LocalService(contract=request.param) as service:
        yield service


@pytest.fixture
def client(service: LocalService) -> Iterator[RemoteMediaClient]:
    """A client that is connected."""
    with RemoteMediaClient(service.address) as client:
        yield client
