"""What is told of each call when it has ended: records, log lines and the hook."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import logging
from collections.abc import AsyncIterator

import pytest
from grpclib.const import Status

from remotemedia import (
    AudioBuffer,
    CallRecord,
    ExecutionStatus,
    RemoteMediaClient,
    RemoteMediaConnectionError,
    RemoteMediaError,
)
from remotemedia.grpc import RetryPolicy
from remotemedia.testing import Fault, LocalService
from tests.support.pipelines import PASS, tone
from tests.support.processes import free_port
from tests.support.waiting import until

METHOD = "/remotemedia.v1.PipelineExecutionService/"
STREAM = "/remotemedia.v1.StreamingPipelineService/StreamPipeline"


async def chunks(count: int) -> AsyncIterator[tuple[str, AudioBuffer]]:
    for _ in range(count):
        yield "src", tone()


@pytest.fixture
def records() -> list[CallRecord]:
    return []


@pytest.fixture
async def client(
    local: LocalService, records: list[CallRecord]
) -> AsyncIterator[RemoteMediaClient]:
    policy = RetryPolicy(initial_backoff_s=1e-6)
    async with RemoteMediaClient(
        local.address, on_call_end=records.append, retry=policy
    ) as client:
        yield client


async def test_every_call_has_a_record(
    client: RemoteMediaClient, records: list[CallRecord], local: LocalService
) -> None:
    await client.get_version()
    result = await client.execute_pipeline(PASS, {"src": tone()})
    connecting, version, execution = records
    assert (connecting.operation, version.operation) == ("connect", "get_version")
    assert connecting.method == version.method == METHOD + "GetVersion"
    assert execution.operation == "execute_pipeline"
    assert execution.method == METHOD + "ExecutePipeline"
    assert execution.address == local.address
    assert execution.request_id == result.request_id
    assert len(result.request_id) == 32
    assert (execution.status, execution.error_type) == (Status.OK, "")
    assert execution.attempts == 1
    assert 0 < execution.duration_s < 60
    assert execution.sent_bytes > len(tone().samples)
    assert execution.received_bytes > len(tone().samples)
    assert (execution.sent_messages, execution.received_messages) == (1, 1)
    assert (execution.sent_chunks, execution.dropped_chunks) == (0, 0)


async def test_the_id_of_a_result_is_no_field(client: RemoteMediaClient) -> None:
    one = await client.execute_pipeline(PASS, {"src": tone()})
    copy = type(one).FromString(bytes(one))
    assert copy == one
    assert copy.request_id == ""
    assert "request_id" not in one.to_dict()
    assert one.status is ExecutionStatus.SUCCESS


async def test_a_session_has_one_record_when_it_is_over(
    client: RemoteMediaClient, records: list[CallRecord]
) -> None:
    results = client.stream_pipeline(PASS, chunks(12))
    async for _ in results:
        assert len(records) == 1
    _, record = records
    assert (record.operation, record.method) == ("stream_pipeline", STREAM)
    assert record.request_id == results.request_id
    assert (record.status, record.error_type) == (Status.OK, "")
    assert (record.sent_chunks, record.acknowledged_chunks) == (12, 12)
    # The init, the chunks and the close; ready, results, metrics and closed.
    assert (record.sent_messages, record.received_messages) == (14, 15)
    assert record.sent_bytes > 12 * len(tone().samples)


async def test_dropped_chunks_are_counted(
    client: RemoteMediaClient, records: list[CallRecord]
) -> None:
    async with client.open_stream(
        PASS, max_buffered_chunks=1, max_in_flight_chunks=1
    ) as stream:
        for _ in range(5):
            stream.try_send("src", tone(), when_full="drop_oldest")
        await stream.close()
    record = records[-1]
    assert record.operation == "open_stream"
    assert record.request_id == stream.request_id
    assert record.dropped_chunks == stream.chunks_dropped > 0
    assert f"dropped_chunks={record.dropped_chunks}" in str(record)


async def test_a_session_that_is_left_was_cancelled(
    client: RemoteMediaClient, records: list[CallRecord]
) -> None:
    async def leave() -> None:
        async with client.open_stream(PASS) as stream:
            await stream.send("src", tone())
            raise KeyError

    with pytest.raises(KeyError):
        await leave()
    assert records[-1].status is Status.CANCELLED


async def test_a_session_that_is_dropped_was_cancelled(
    client: RemoteMediaClient, records: list[CallRecord]
) -> None:
    async for _ in client.stream_pipeline(PASS, chunks(3)):
        break
    gc.collect()
    await until(lambda: len(records) == 2)
    assert records[-1].status is Status.CANCELLED


async def test_a_session_that_was_never_opened_has_no_record(
    client: RemoteMediaClient, records: list[CallRecord]
) -> None:
    client.open_stream(PASS)
    await client.stream_pipeline(PASS, chunks(1)).aclose()
    assert len(records) == 1


async def test_a_session_that_the_service_refuses(
    client: RemoteMediaClient, records: list[CallRecord], local: LocalService
) -> None:
    local.add_fault(Fault.error("no room", method="StreamPipeline"))
    with pytest.raises(RemoteMediaError, match="no room") as caught:
        async with client.open_stream(PASS):
            pass
    record = records[-1]
    assert (record.status, record.error_type) == (Status.OK, "INTERNAL")
    assert record.request_id == caught.value.request_id


async def test_a_session_with_a_fixed_token_is_opened_once(
    records: list[CallRecord],
) -> None:
    async with LocalService(token="right") as service:
        client = RemoteMediaClient(
            service.address, token="right", on_call_end=records.append
        )
        async with client:
            with pytest.raises(RemoteMediaError, match="wrong"):
                async with client.open_stream(
                    PASS, metadata={"authorization": "Bearer other"}
                ):
                    pass
    assert (records[-1].attempts, records[-1].status) == (1, Status.UNAUTHENTICATED)


async def test_failures_have_the_status_and_the_type_of_the_error(
    client: RemoteMediaClient, records: list[CallRecord], local: LocalService
) -> None:
    local.add_fault(Fault.status(Status.PERMISSION_DENIED, "no"))
    with pytest.raises(RemoteMediaError):
        await client.execute_pipeline(PASS)
    assert (records[-1].status, records[-1].error_type) == (
        Status.PERMISSION_DENIED,
        "AUTHENTICATION",
    )
    # gRPC calls it a success.
    local.add_fault(Fault.error("no", method="ExecutePipeline"))
    with pytest.raises(RemoteMediaError):
        await client.execute_pipeline(PASS)
    assert (records[-1].status, records[-1].error_type) == (Status.OK, "INTERNAL")


async def test_a_time_out_and_a_cancellation(
    client: RemoteMediaClient, records: list[CallRecord], local: LocalService
) -> None:
    local.add_fault(Fault.delay(60, times=2))
    with pytest.raises(TimeoutError):
        await client.execute_pipeline(PASS, timeout=0.02)
    assert records[-1].status is Status.DEADLINE_EXCEEDED
    task = asyncio.create_task(client.execute_pipeline(PASS))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (records[-1].status, records[-1].error_type) == (
        Status.CANCELLED,
        "CancelledError",
    )


async def test_all_attempts_are_one_record(
    client: RemoteMediaClient,
    records: list[CallRecord],
    local: LocalService,
    caplog: pytest.LogCaptureFixture,
) -> None:
    local.add_fault(
        Fault.status(Status.UNAVAILABLE, "busy", method="GetVersion", times=2)
    )
    await client.get_version()
    _, record = records
    assert (record.attempts, record.status) == (3, Status.OK)
    assert (record.sent_messages, record.received_messages) == (3, 1)
    warnings = [entry for entry in caplog.records if entry.levelname == "WARNING"]
    assert len(warnings) == 2
    assert warnings[0].name == "remotemedia.calls"
    text = warnings[0].getMessage()
    assert f"get_version at {local.address} failed with UNAVAILABLE" in text
    assert f"attempt 1, request_id={record.request_id}" in text
    assert "busy" not in text


async def test_a_refused_stream_is_opened_again_in_the_same_record(
    client: RemoteMediaClient, records: list[CallRecord], local: LocalService
) -> None:
    local.add_fault(Fault.go_away(refuses=True, method="StreamPipeline"))
    async for _ in client.stream_pipeline(PASS, chunks(1)):
        pass
    # The new connection has its version checked, beside the call.
    (record,) = (each for each in records if each.operation == "stream_pipeline")
    assert (record.attempts, record.status) == (2, Status.OK)


async def test_what_never_reached_the_connection_has_no_record(
    client: RemoteMediaClient, records: list[CallRecord]
) -> None:
    with pytest.raises(RemoteMediaError):
        await client.execute_pipeline({"nodes": []})
    assert len(records) == 1


async def test_a_call_without_a_token_has_a_record_without_attempts(
    local: LocalService, records: list[CallRecord]
) -> None:
    def token() -> str:
        raise OSError("the vault is shut")

    client = RemoteMediaClient(local.address, token=token, on_call_end=records.append)
    with pytest.raises(OSError, match="the vault is shut"):
        await client.connect()
    (record,) = records
    assert (record.operation, record.attempts) == ("connect", 0)
    assert record.method == METHOD + "GetVersion"
    assert record.sent_messages == 0


async def test_a_service_that_is_not_there(records: list[CallRecord]) -> None:
    client = RemoteMediaClient(f"127.0.0.1:{free_port()}", on_call_end=records.append)
    with pytest.raises(RemoteMediaConnectionError):
        await client.connect()
    (record,) = records
    assert (record.operation, record.status) == ("connect", Status.UNAVAILABLE)
    assert (record.attempts, record.sent_messages) == (1, 0)


# -- the log


async def test_one_line_for_each_call_without_secrets(
    local: LocalService, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="remotemedia")
    async with RemoteMediaClient(
        local.address, token="hunter2", metadata={"x-secret": "swordfish"}
    ) as client:
        caplog.clear()
        result = await client.execute_pipeline(PASS, {"src": tone()})
    (entry,) = [each for each in caplog.records if each.name == "remotemedia.calls"]
    assert entry.levelname == "DEBUG"
    record = vars(entry)["call"]
    assert isinstance(record, CallRecord)
    assert entry.getMessage() == str(record)
    assert entry.getMessage() == (
        f"execute_pipeline OK address={local.address} "
        f"request_id={result.request_id} attempts=1 "
        f"duration_ms={record.duration_s * 1000:.1f} "
        f"sent_bytes={record.sent_bytes} received_bytes={record.received_bytes}"
    )
    for secret in ("hunter2", "swordfish", "x-secret"):
        assert secret not in caplog.text


async def test_a_line_says_what_kind_of_failure_it_was(
    local: LocalService, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="remotemedia.calls")
    local.add_fault(Fault.status(Status.RESOURCE_EXHAUSTED, "too much"))
    async with RemoteMediaClient(local.address) as client:
        with pytest.raises(RemoteMediaError):
            await client.execute_pipeline(PASS)
    text = caplog.records[-1].getMessage()
    assert text.startswith(
        "execute_pipeline RESOURCE_EXHAUSTED error_type=RESOURCE_LIMIT address="
    )


def test_nothing_is_printed_by_default() -> None:
    handlers = logging.getLogger("remotemedia").handlers
    assert any(isinstance(handler, logging.NullHandler) for handler in handlers)


async def test_nobody_listens_and_no_record_is_made(
    local: LocalService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(record: CallRecord, hook: object) -> None:
        raise AssertionError

    monkeypatch.setattr("remotemedia.operation.tell", fail)
    async with RemoteMediaClient(local.address) as client:
        await client.get_version()
        async for _ in client.stream_pipeline(PASS, chunks(1)):
            pass


async def test_a_hook_that_raises_disturbs_no_call(
    local: LocalService, caplog: pytest.LogCaptureFixture
) -> None:
    def hook(record: CallRecord) -> None:
        raise KeyError("metrics")

    async with RemoteMediaClient(local.address, on_call_end=hook) as client:
        await client.get_version()
    assert "on_call_end raised" in caplog.text


async def test_records_and_errors_name_the_server_that_was_asked() -> None:
    records: list[CallRecord] = []
    async with LocalService() as one, LocalService() as other:
        addresses = {one.address, other.address}
        async with RemoteMediaClient(
            list(addresses), on_call_end=records.append
        ) as client:
            for _ in range(4):
                await client.get_version()
            assert {record.address for record in records} <= addresses
            for service in (one, other):
                service.add_fault(Fault.status(Status.INTERNAL, "broken", times=4))
            seen = set()
            for _ in range(4):
                with pytest.raises(RemoteMediaError) as caught:
                    await client.execute_pipeline(PASS)
                seen.add(caught.value.address)
            assert seen == addresses


def test_a_hook_is_a_function() -> None:
    with pytest.raises(TypeError, match=r"on_call_end must be a function .* got 1"):
        RemoteMediaClient(on_call_end=1)  # type: ignore[call-overload]  # the mistake


def test_a_record_is_immutable() -> None:
    assert dataclasses.fields(CallRecord)[0].name == "operation"
    assert CallRecord.__dataclass_params__.frozen  # type: ignore[attr-defined]  # mypy does not know it
