"""Stubs of any service over the connection of a blocking client."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from grpclib.const import Status

from remotemedia import ErrorType, RemoteMediaError
from remotemedia.blocking import RemoteMediaClient
from remotemedia.manifest import to_manifest
from remotemedia.testing import Fault, LocalService
from remotemedia.v1 import (
    AudioChunk,
    ExecuteRequest,
    PipelineExecutionServiceStub,
    StreamControl,
    StreamControlCommand,
    StreamingPipelineServiceStub,
    StreamInit,
    StreamRequest,
    VersionRequest,
)
from tests.support.pipelines import PASS, tone

INIT = StreamRequest(init=StreamInit(manifest=to_manifest(PASS), client_version="v1"))
CLOSE = StreamRequest(control=StreamControl(command=StreamControlCommand.COMMAND_CLOSE))


@pytest.fixture
def service() -> Iterator[LocalService]:
    """A service of the contract whose stubs are used here."""
    with LocalService() as service:
        yield service


def test_a_call_with_one_response(client: RemoteMediaClient) -> None:
    service = client.stub(PipelineExecutionServiceStub)
    answer = service(
        PipelineExecutionServiceStub.get_version,
        VersionRequest(client_version="v1"),
        timeout=5,
        metadata={"x-call": "1"},
    )
    assert answer.compatible


def test_its_failures_are_those_of_the_client(client: RemoteMediaClient) -> None:
    service = client.stub(PipelineExecutionServiceStub)
    with pytest.raises(RemoteMediaError, match="manifest") as caught:
        service(PipelineExecutionServiceStub.execute_pipeline, ExecuteRequest())
    assert caught.value.error_type is ErrorType.VALIDATION
    assert caught.value.operation == "ExecutePipeline"


def test_only_what_is_idempotent_is_made_again(
    client: RemoteMediaClient, service: LocalService
) -> None:
    method = PipelineExecutionServiceStub.get_version
    for idempotent in (True, False):
        service.add_fault(Fault.status(Status.UNAVAILABLE, "busy", method="GetVersion"))
        stub = client.stub(PipelineExecutionServiceStub, idempotent=idempotent)
        if idempotent:
            assert stub(method, VersionRequest())
        else:
            with pytest.raises(RemoteMediaError, match="busy"):
                stub(method, VersionRequest())


@pytest.mark.parametrize("by_name", [False, True])
def test_responses_are_iterated_and_requests_may_block(
    client: RemoteMediaClient, by_name: bool
) -> None:
    service = client.stub(StreamingPipelineServiceStub)
    is_ready = threading.Event()

    def requests() -> Iterator[StreamRequest]:
        yield INIT
        # The loop goes on: the first response has to come meanwhile.
        assert is_ready.wait(30)
        yield CLOSE

    method = StreamingPipelineServiceStub.stream_pipeline
    with (
        service(method, stream_request_iterator=requests())
        if by_name
        else service(method, requests())
    ) as responses:
        assert next(responses).which_oneof("response") == "ready"
        is_ready.set()
        assert [r.which_oneof("response") for r in responses] == ["closed"]


def test_leaving_the_loop_ends_the_call_and_its_requests(
    client: RemoteMediaClient,
) -> None:
    closed = threading.Event()

    def requests() -> Iterator[StreamRequest]:
        try:
            yield INIT
            for number in count():
                chunk = AudioChunk(node_id="src", buffer=tone(160), sequence=number)
                yield StreamRequest(audio_chunk=chunk)
        finally:
            closed.set()

    service = client.stub(StreamingPipelineServiceStub)
    for response in service(StreamingPipelineServiceStub.stream_pipeline, requests()):
        assert response.which_oneof("response") == "ready"
        break
    gc.collect()
    assert closed.wait(30)


def test_what_the_requests_raise_is_raised_unchanged(client: RemoteMediaClient) -> None:
    class UnpluggedError(Exception):
        pass

    def requests() -> Iterator[StreamRequest]:
        yield INIT
        raise UnpluggedError

    service = client.stub(StreamingPipelineServiceStub)
    with pytest.raises(UnpluggedError):
        list(service(StreamingPipelineServiceStub.stream_pipeline, requests()))


def test_only_a_method_of_its_class_is_called(client: RemoteMediaClient) -> None:
    service: Any = client.stub(PipelineExecutionServiceStub)
    bound = service._asynchronous.get_version
    for method in (StreamingPipelineServiceStub.stream_pipeline, bound, "get_version"):
        with pytest.raises(TypeError, match="of the class PipelineExecutionServiceS"):
            service(method, VersionRequest())
    with pytest.raises(TypeError, match="missing a required argument"):
        service(PipelineExecutionServiceStub.get_version)
    with pytest.raises(TypeError, match="cls must be the class of a generated stub"):
        client.stub(LocalService)  # type: ignore[type-var]  # that is what is tested


def test_a_method_on_the_stub_says_how_it_is_called(client: RemoteMediaClient) -> None:
    service: Any = client.stub(PipelineExecutionServiceStub)
    form = r"stub\(PipelineExecutionServiceStub\.get_version, …\)"
    with pytest.raises(AttributeError, match=form):
        service.get_version(VersionRequest())
