"""What comes in, with h2 as the oracle; ``pair.py`` drives the two."""

from __future__ import annotations

import struct
from itertools import cycle, pairwise
from typing import TYPE_CHECKING, Any

import pytest
from h2.events import Event, StreamEnded
from h2.exceptions import (
    FrameTooLargeError,
    H2Error,
    ProtocolError,
)
from hyperframe.frame import (
    DataFrame,
    Frame,
    HeadersFrame,
    SettingsFrame,
)
from hypothesis import given
from hypothesis import strategies as st

from remotemedia.http2.frames import ClientConnection
from tests.http2.pair import (
    CONNECTION_WINDOW,
    OWN,
    RESPONSES,
    SHARED,
    STREAM_WINDOW,
    Pair,
    Peer,
    Recorder,
    answered,
    do,
    meant,
    received,
    said,
    state,
)

if TYPE_CHECKING:
    from typing_extensions import Buffer

FLAGS = st.sets(st.sampled_from(["END_STREAM", "PADDED", "PRIORITY"]), max_size=2)
STREAM = st.sampled_from([5, 5, 5, 7, 7, 9, 1, 11, 0, 2])
ENDS = st.just({"END_STREAM"})
PLAIN = st.just(set[str]())
SIZE = st.integers(0, 9) | st.just(16_384)
INCREMENT = st.integers(1, 100_000) | st.sampled_from([2**31 - 1, 2**31 - 65_535])
SAID = st.one_of(
    st.tuples(st.just("headers"), STREAM, st.just(0), PLAIN, st.just(False)),
    st.tuples(st.just("headers"), STREAM, st.just(5), ENDS, st.just(False)),
    st.tuples(
        st.just("headers"),
        STREAM,
        st.integers(0, len(RESPONSES) - 1),
        PLAIN | ENDS | FLAGS,
        st.booleans(),
    ),
    st.tuples(st.just("data"), STREAM, SIZE, PLAIN | FLAGS),
    st.tuples(st.just("window_update"), STREAM, INCREMENT),
    st.tuples(st.just("settings"), st.sampled_from([0, 10, 65_535, 2**31 - 1])),
    st.tuples(st.just("reset"), STREAM),
    st.tuples(st.just("push"), STREAM),
    st.tuples(st.just("other"), st.integers(0, 2)),
)
DONE = st.one_of(
    st.tuples(st.just("request")),
    st.tuples(st.just("send"), STREAM, st.integers(1, 40_000), st.booleans()),
    st.tuples(st.just("end"), STREAM),
    st.tuples(st.just("cancel"), STREAM),
    st.tuples(st.just("acknowledge"), STREAM, st.integers(1, 9)),
)


@given(st.lists(SAID.map(lambda s: ("hear", *s)) | DONE, max_size=40))
def test_both_ways_are_the_same(steps: list[tuple[Any, ...]]) -> None:
    pair, peer = answered()
    went_well = True
    for kind, *arguments in steps:
        if kind == "hear":
            for frame in peer.frames(*arguments):
                went_well = went_well and pair.hear(frame)
        else:
            went_well = do(pair, kind, *arguments) and went_well
        if not went_well:
            break
    if pair.is_same:
        assert said(pair.fast) == said(pair.plain)


@pytest.mark.parametrize(
    ("streams", "frames"), [([5], 6), ([5, 7], 8)], ids=["stream", "connection"]
)
def test_no_more_comes_than_the_windows_allow(streams: list[int], frames: int) -> None:
    pair, peer = answered()
    assert pair.both(*[lambda client: client.increment_flow_control_window(20_000)] * 2)
    for stream in streams:
        assert all(map(pair.hear, peer.headers(stream, 0, set(), is_split=False)))
    heard = 0
    for stream in cycle(streams):
        if not pair.hear(peer.data(stream, 9_999, set())):
            break
        heard += 1
    assert heard == frames


@pytest.mark.parametrize("stream", [0, 5])
def test_leave_to_send_nothing_is_refused(stream: int) -> None:
    pair, _ = answered()
    assert not pair.hear_bytes(struct.pack(">HBBBII", 0, 4, 8, 0, stream, 0))


def test_a_block_means_what_the_table_says() -> None:
    pair, peer = answered()
    # Status 200, and the newest of the table.
    frame = HeadersFrame(5, data=b"\x88\xbe", flags=["END_HEADERS"])
    for frame.stream_id in (5, 7):
        assert pair.hear(frame)
    assert all(map(pair.hear, peer.headers(9, 1, set(), is_split=False)))
    frame.stream_id = 11
    pair.request()
    assert pair.hear(frame)


@pytest.mark.parametrize("which", [0, 2, 4, 6])
@pytest.mark.parametrize("flags", [set(), {"END_STREAM"}, {"PADDED"}, {"PRIORITY"}])
@pytest.mark.parametrize("sizes", [(), (7,), (8,), (4, 4)])
@pytest.mark.parametrize("last", [0, 2, 5, 6])
def test_answers_of_every_kind(
    which: int, flags: set[str], sizes: tuple[int, ...], last: int
) -> None:
    pair, peer = answered()
    # What has been there before is known; the last time it does not fit the data.
    for stream, more in ((5, ()), (7, ()), (9, (1,))):
        frames = [
            *peer.headers(stream, which, flags, is_split=False),
            *(peer.data(stream, size, set()) for size in (*sizes, *more)),
            *peer.headers(stream, last, {"END_STREAM"}, is_split=False),
        ]
        if not all(map(pair.hear, frames)):
            break


def test_nothing_comes_between_the_frames_of_a_block() -> None:
    pair, peer = answered()
    first, _ = peer.headers(5, 0, set(), is_split=True)
    assert pair.hear(first)
    assert not pair.hear(peer.window_update(0, 1))


# -- cuts, and what is only in the short way


class Counting(ClientConnection):
    """Counts the frames that h2 reads."""

    def __init__(self) -> None:
        super().__init__(STREAM_WINDOW, CONNECTION_WINDOW)
        self.frames = 0

    def receive_data(self, data: Buffer) -> list[Event]:
        """Take a frame."""
        self.frames += 1
        return super().receive_data(data)


def conversation(calls: int = 2) -> bytes:
    """What a service answers to some calls."""
    return b"".join(frame.serialize() for frame in conversation_frames(calls))


def conversation_frames(calls: int) -> list[Frame]:
    """The same, as frames."""
    peer = Peer()
    frames: list[Frame] = [SettingsFrame(0)]
    for call in range(calls):
        stream = 2 * call + 1
        frames += [
            *peer.headers(stream, 0, set(), is_split=False),
            peer.data(stream, 9, set()),
            peer.window_update(0, 9),
            peer.window_update(stream, 9),
            *peer.headers(stream, 5, {"END_STREAM"}, is_split=False),
        ]
    return frames


@given(st.lists(st.integers(0, len(conversation())), max_size=20))
def test_bytes_may_be_cut_anywhere(places: list[int]) -> None:
    data = conversation()
    cuts = [0, *sorted(places), len(data)]
    cut, whole = Counting(), Counting()
    for client in (cut, whole):
        client.send_request(SHARED, OWN)
        client.send_request(SHARED, OWN)
    parts = [data[a:b] for a, b in pairwise(cuts)]
    events = [event for part in parts for event in received(cut, part)]
    assert meant(events) == meant(received(whole, data))
    assert state(cut) == state(whole)


def test_the_frames_of_a_call_do_not_go_through_h2() -> None:
    client = Counting()
    for _ in range(4):
        client.send_request(SHARED, OWN)
    received(client, conversation(2))
    # Only the settings go through h2.
    assert client.frames == 1
    rest = conversation(4)[len(conversation(2)) :]
    assert len(received(client, rest)) == 12
    assert client.frames == 1


def test_blocks_are_known_for_as_long_as_the_table_is_the_same() -> None:
    pair, peer = Pair(), Peer()
    for stream, which in ((1, 0), (3, 0), (5, 1), (7, 0)):
        (frame,) = peer.headers(stream, which, set(), is_split=False)
        assert pair.hear(frame)


def test_what_came_before_a_bad_frame_is_told() -> None:
    client = Counting()
    client.send_request(SHARED, OWN)
    recorder = Recorder()
    with pytest.raises(ProtocolError):
        client.receive(conversation(1) + DataFrame(99, b"x").serialize(), recorder)
    # The last good frame is the one with the trailers.
    assert isinstance(recorder.events[-1], StreamEnded)


@pytest.mark.parametrize(
    ("head", "error"),
    [
        (b"\xff\xff\xff\x00\x00\x00\x00\x00\x01", FrameTooLargeError),
        (b"\x00\x00\x09\x00\x00\x00\x00\x00\x00", ProtocolError),
        (b"\x00\x00\x09\x01\x04\x00\x00\x00\x00", ProtocolError),
    ],
)
def test_a_bad_frame_is_refused_by_its_head(head: bytes, error: type[H2Error]) -> None:
    client = Counting()
    with pytest.raises(error):
        received(client, head)
