"""The log of the embedded service."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from grpclib.const import Status

from remotemedia import RemoteMediaClient, RemoteMediaError
from remotemedia.contracts import ContractName
from remotemedia.testing import Fault, LocalService
from tests.support.pipelines import PASS, tone
from tests.support.waiting import until


@pytest_asyncio.fixture
async def local(contract: ContractName) -> AsyncIterator[LocalService]:
    """A service of each contract."""
    async with LocalService(contract=contract) as service:
        yield service


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, logger="remotemedia.testing")
    return caplog


async def test_both_ends_of_a_call_have_its_id(
    local: LocalService, log: pytest.LogCaptureFixture
) -> None:
    async with RemoteMediaClient(local.address) as client:
        log.clear()
        result = await client.execute_pipeline(PASS, {"src": tone()})
        local.add_fault(Fault.status(Status.ABORTED, "stop"))
        with pytest.raises(RemoteMediaError) as caught:
            await client.execute_pipeline(PASS)
    first, second = (record.getMessage() for record in log.records)
    assert re.fullmatch(
        r"/remotemedia\.v1\.PipelineExecutionService/ExecutePipeline OK "
        rf"request_id={result.request_id} duration_ms=\d+\.\d",
        first,
    )
    assert f"ABORTED request_id={caught.value.request_id} " in second


async def test_a_call_that_is_left_was_cancelled(
    local: LocalService, log: pytest.LogCaptureFixture
) -> None:
    async with RemoteMediaClient(local.address) as client:
        stream = client.open_stream(PASS)
        with pytest.raises(KeyError):
            async with stream:
                raise KeyError
        await until(lambda: "StreamPipeline" in log.text)
    line = log.records[-1].getMessage()
    assert f"CANCELLED request_id={stream.request_id} " in line


async def test_a_refused_token_is_logged_without_it(
    log: pytest.LogCaptureFixture, contract: ContractName
) -> None:
    async with LocalService(token="hunter2", contract=contract) as service:
        client = RemoteMediaClient(service.address, token="swordfish")
        with pytest.raises(RemoteMediaError) as caught:
            await client.connect()
    line = log.records[-1].getMessage()
    assert line.endswith(f"UNAUTHENTICATED request_id={caught.value.request_id}")
    assert "hunter2" not in log.text
    assert "swordfish" not in log.text
