"""What a client sends: requests, data and windows, as a server understands them."""

from __future__ import annotations

import pytest
from h2.exceptions import TooManyStreamsError
from hpack.hpack import Decoder
from hyperframe.frame import ContinuationFrame, Frame, HeadersFrame, SettingsFrame

from remotemedia.http2.frames import ClientConnection
from tests.http2.pair import (
    CONNECTION_WINDOW,
    OWN,
    SHARED,
    STREAM_WINDOW,
    answered,
    do,
    received,
    said,
)


def client_connection() -> ClientConnection:
    """A connection that has said nothing but its greeting."""
    return ClientConnection(STREAM_WINDOW, CONNECTION_WINDOW)


def test_a_window_may_be_negative() -> None:
    pair, peer = answered()
    assert do(pair, "send", 5, 20_000, False)
    assert all(map(pair.hear, peer.frames("settings", 10)))
    assert do(pair, "send", 5, 1, True)
    assert pair.fast.streams[5].outbound_flow_control_window < 0


def test_the_end_goes_with_the_last_bytes() -> None:
    pair, _ = answered()
    for size in (20_000, 5):
        assert do(pair, "send", 5, size, size == 5)
        assert said(pair.fast) == said(pair.plain)


def sent_headers(client: ClientConnection) -> list[tuple[bytes, bytes]]:
    """The headers of the frames that wait, decoded by HPACK."""
    data = bytes(client.take_outgoing())
    decoder = Decoder()
    block = b""
    while data:
        frame, length = Frame.parse_frame_header(memoryview(data[:9]))
        frame.parse_body(memoryview(data[9 : 9 + length]))
        if isinstance(frame, (HeadersFrame, ContinuationFrame)):
            block += frame.data
        data = data[9 + length :]
    return [tuple(header) for header in decoder.decode(block, raw=True)]  # type: ignore[misc]  # of two


def test_a_calls_own_headers_are_in_no_table() -> None:
    client = client_connection()
    for _ in range(2):
        client.send_request(SHARED, [("authorization", "Bearer secret")])
    assert not any(
        b"secret" in value for _, value in client.encoder.header_table.dynamic_entries
    )


def test_the_shared_headers_are_sent_once() -> None:
    client = client_connection()
    sizes = []
    for _ in range(3):
        client.take_outgoing()
        client.send_request(SHARED, [])
        sizes.append(len(client.outgoing))
    assert sizes[0] > sizes[1] == sizes[2] == 9 + len(SHARED)


def test_headers_larger_than_a_frame() -> None:
    client = client_connection()
    client.take_outgoing()
    own = [("x-long", "a" * 40_000), ("x-127", "b" * 127), ("x-none", "")]
    client.send_request(SHARED, own)
    expected = [(n.encode(), v.encode()) for n, v in (*SHARED, *own)]
    assert sent_headers(client) == expected


def test_no_more_streams_than_the_peer_takes() -> None:
    client = client_connection()
    frame = SettingsFrame(0)
    frame.settings = {SettingsFrame.MAX_CONCURRENT_STREAMS: 2}
    received(client, frame.serialize())
    client.send_request(SHARED, OWN)
    client.send_request(SHARED, OWN)
    with pytest.raises(TooManyStreamsError):
        client.send_request(SHARED, OWN)
    client.reset_stream(1)
    assert client.send_request(SHARED, OWN) == 5


def test_closed_streams_are_let_go() -> None:
    client = client_connection()
    for _ in range(500):
        client.reset_stream(client.send_request(SHARED, OWN))
    assert len(client.streams) < 100
