"""Header blocks: the timeout, what a method's calls share, and where the status is."""

from __future__ import annotations

from typing import cast

import pytest
from grpclib.metadata import decode_timeout
from hypothesis import given
from hypothesis import strategies as st

from remotemedia.grpc.compression import Compression
from remotemedia.grpc.headers import (
    Block,
    ResponseMetadata,
    has_status,
    method_headers,
    response_blocks,
    timeout_header,
)
from remotemedia.http2 import Stream


@given(st.floats(0, 10**10))
def test_a_timeout_is_never_shortened(seconds: float) -> None:
    header = timeout_header(seconds)
    assert len(header) <= 9
    told_s = decode_timeout(header)
    if seconds <= 99_999_999:
        assert seconds <= told_s + 1e-9
        assert told_s <= seconds + max(1e-6, seconds * 1e-4)
    else:
        assert told_s == 99_999_999


@pytest.mark.parametrize(
    ("seconds", "header"),
    [
        (0.0, "0u"),
        (1e-9, "1u"),
        (0.5, "500000u"),
        (29.999999, "29999999u"),
        (99.999999, "99999999u"),
        (100.0, "100000m"),
        (99_999.9999, "100000S"),
        (1e9, "99999999S"),
    ],
)
def test_a_timeout(seconds: float, header: str) -> None:
    assert timeout_header(seconds) == header


@pytest.mark.parametrize("compression", ["identity", "gzip"])
def test_a_request_says_what_it_takes_and_how_it_is_compressed(
    compression: Compression,
) -> None:
    headers = dict(method_headers("http", "host", "/a/B", compression))
    assert headers["grpc-accept-encoding"] == "identity,gzip"
    assert headers.get("grpc-encoding", "identity") == compression


class Received:
    """The part of a stream that is looked at."""

    def __init__(self, headers: Block | None, trailers: Block | None) -> None:
        self.headers = headers
        self.trailers = trailers


STATUS = [("grpc-status", "1"), ("a", "1")]
PLAIN = [("a", "2")]


@pytest.mark.parametrize(
    ("headers", "trailers", "has_body", "blocks"),
    [
        (None, None, False, (None, None)),
        (PLAIN, None, False, (PLAIN, None)),
        (STATUS, None, False, (None, STATUS)),
        (STATUS, None, True, (STATUS, None)),
        (STATUS, PLAIN, False, (STATUS, PLAIN)),
        (PLAIN, STATUS, True, (PLAIN, STATUS)),
    ],
)
def test_which_block_is_which(
    headers: Block | None,
    trailers: Block | None,
    has_body: bool,
    blocks: tuple[Block | None, Block | None],
) -> None:
    stream = cast("Stream", Received(headers, trailers))
    found = response_blocks(stream, has_body=has_body)
    assert found == blocks
    assert has_status(found[1] or ()) is (blocks[1] is STATUS)
    received = ResponseMetadata()
    assert (received.headers, received.trailers) == ((), ())
    received.take(found)
    assert received.headers == tuple(("a", v) for _, v in (blocks[0] or ())[-1:])
    assert received.trailers == tuple(("a", v) for _, v in (blocks[1] or ())[-1:])


def test_before_there_is_a_stream_nothing_arrived() -> None:
    assert response_blocks(None, has_body=False) == (None, None)
