"""The blocking client, against the embedded service."""

from __future__ import annotations

import multiprocessing
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from remotemedia import ErrorType, RemoteMediaConnectionError, RemoteMediaError
from remotemedia.blocking import RemoteMediaClient
from remotemedia.testing import Fault, LocalService
from tests.support.pipelines import PASS, tone


def test_the_three_calls(client: RemoteMediaClient) -> None:
    assert client.get_version().protocol_version == "v1"
    result = client.execute_pipeline(PASS, {"src": tone()})
    assert result.audio() == tone()
    assert [
        r.sequence for r in client.stream_pipeline(PASS, [("src", tone())] * 3)
    ] == [
        0,
        1,
        2,
    ]


def test_an_error_is_the_asynchronous_clients(client: RemoteMediaClient) -> None:
    with pytest.raises(RemoteMediaError) as caught:
        client.execute_pipeline(PASS, {"other": tone()})
    assert caught.value.error_type is ErrorType.VALIDATION
    with pytest.raises(TypeError, match="tmeout"):
        client.get_version(tmeout=3)  # type: ignore[call-arg]  # misspelt
    with pytest.raises(ValueError, match="token"):
        RemoteMediaClient("example.org:443", token="secret")


def test_a_client_that_is_not_connected_says_so(service: LocalService) -> None:
    client = RemoteMediaClient(service.address)
    with pytest.raises(RemoteMediaConnectionError, match="`with` of remotemedia"):
        client.get_version()
    client.connect()
    client.get_version()
    with pytest.raises(RemoteMediaError, match="`with` of remotemedia"):
        next(client.open_stream(PASS))
    client.disconnect()
    with pytest.raises(RemoteMediaConnectionError, match="not connected"):
        client.get_version()


def test_a_deadline_ends_a_call(
    client: RemoteMediaClient, service: LocalService
) -> None:
    service.add_fault(Fault.delay(30))
    with pytest.raises(TimeoutError):
        client.execute_pipeline(PASS, {"src": tone()}, timeout=0.05)


def test_many_threads_use_one_client(client: RemoteMediaClient) -> None:
    def work(number: int) -> int:
        result = client.execute_pipeline(PASS, {"src": tone(100 + number)})
        return result.audio().num_samples

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(40))) == [100 + n for n in range(40)]


def test_the_representation_shows_no_token(service: LocalService) -> None:
    text = repr(RemoteMediaClient(service.address, token="secret"))
    assert "secret" not in text
    assert service.address in text
    assert text.startswith("<blocking ")


def _call_in_child(client: RemoteMediaClient, pipe: object) -> None:
    try:
        client.get_version()
    except RemoteMediaConnectionError as error:
        pipe.send(str(error))  # type: ignore[attr-defined]  # a Connection
    else:
        pipe.send("no error")  # type: ignore[attr-defined]  # a Connection


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_fork_is_noticed(client: RemoteMediaClient) -> None:
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    child = context.Process(target=_call_in_child, args=(client, there))
    child.start()
    assert here.poll(30)
    assert "make one client for each" in here.recv()
    child.join(30)
    assert client.get_version().protocol_version == "v1"


async def test_an_asynchronous_context_says_what_to_write() -> None:
    client: Any = RemoteMediaClient("localhost:1")
    with pytest.raises(TypeError, match="this is blocking: write `with`"):
        async with client:
            pass


@pytest.mark.parametrize("is_async", [False, True])
def test_an_exit_in_a_token_function_is_raised_and_ends_nothing_else(
    service: LocalService, client: RemoteMediaClient, is_async: bool
) -> None:
    def fetch() -> str:
        sys.exit("no credentials")

    async def fetch_async() -> str:
        sys.exit("no credentials")

    token = fetch_async if is_async else fetch
    with pytest.raises(SystemExit, match="no credentials"):
        RemoteMediaClient(service.address, token=token, timeout=5).connect()
    # The other clients of the process share the loop.
    assert client.get_version().protocol_version == "v1"
