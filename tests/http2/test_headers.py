"""Header blocks: what is read of them, what is refused, and what is remembered."""

from __future__ import annotations

import pytest
from h2.exceptions import DenialOfServiceError
from hpack.hpack import Decoder, Encoder
from hypothesis import given
from hypothesis import strategies as st

from remotemedia.http2.headers import (
    MAX_HEADER_BLOCK_BYTES,
    MAX_HEADER_LIST_BYTES,
    CompressionError,
    HeaderDecoder,
    HeaderEncoder,
    HeadersTooLargeError,
)

FIELDS = st.tuples(
    st.sampled_from([":status", "content-type", "x-a", "x-b"]) | st.text(max_size=9),
    st.sampled_from(["200", "application/grpc", ""]) | st.text(max_size=300),
)
LISTS = st.lists(FIELDS, max_size=6)
SHARED = ((":method", "POST"), (":path", "/a/B"), ("te", "trailers"))


@given(st.lists(st.tuples(LISTS, st.booleans()), max_size=6))
def test_every_list_of_headers_comes_through(
    lists: list[tuple[list[tuple[str, str]], bool]],
) -> None:
    encoder, decoder = Encoder(), HeaderDecoder()
    for headers, is_huffman in lists:
        block = encoder.encode(headers, huffman=is_huffman)
        # UTF-8 goes out, and any byte is a character of what comes in.
        expected = [tuple(t.encode().decode("latin-1") for t in h) for h in headers]
        assert decoder.decode(block) == expected


@given(st.binary(max_size=60))
def test_any_bytes_are_headers_or_refused(block: bytes) -> None:
    try:
        headers = HeaderDecoder().decode(block)
    except (CompressionError, DenialOfServiceError):
        return
    assert headers == [
        (bytes(name).decode("latin-1"), bytes(value).decode("latin-1"))
        for name, value in Decoder().decode(block, raw=True)
    ]


def test_a_list_that_is_too_large_leaves_the_table_right() -> None:
    encoder, decoder = Encoder(), HeaderDecoder()
    large = [("x-large", "y" * (MAX_HEADER_LIST_BYTES - 20)), ("x-new", "1")]
    with pytest.raises(HeadersTooLargeError, match=r"6\d{4} bytes of headers"):
        decoder.decode(encoder.encode(large, huffman=False))
    assert decoder.decode(encoder.encode([("x-new", "1")])) == [("x-new", "1")]


def test_the_largest_list_is_taken() -> None:
    headers = [("x", "y" * (MAX_HEADER_LIST_BYTES - 33))]
    block = Encoder().encode(headers, huffman=False)
    assert HeaderDecoder().decode(block) == headers


@pytest.mark.parametrize(
    "block",
    [
        b"\x82" * (MAX_HEADER_BLOCK_BYTES // 30),
        b"\x00\x01x\x7f\x81\xff\x07" + bytes(MAX_HEADER_BLOCK_BYTES),
        b"\x40\x01x\x7f\xa1\x1e" + bytes(4000) + b"\xbe" * 60,
    ],
    ids=["many", "long", "bomb"],
)
def test_what_is_far_too_large_is_not_read_to_its_end(block: bytes) -> None:
    with pytest.raises(DenialOfServiceError, match="bytes of headers"):
        HeaderDecoder().decode(block)


@pytest.mark.parametrize(
    "block",
    [
        b"\x20\x20\x20",
        b"\x88\x20",
        b"\x3f\xe2\x1f",
        b"\xff\xff\xff\xff\xff\xff\x01",
        b"\x00\x01x\x05ab",
        b"\xbe",
        b"\x00",
    ],
    ids=["sizes", "late size", "large size", "integer", "cut", "index", "nothing"],
)
def test_what_makes_no_sense_is_refused(block: bytes) -> None:
    with pytest.raises(CompressionError):
        HeaderDecoder().decode(block)


def test_a_known_block_is_forgotten_with_what_it_refers_to() -> None:
    decoder = HeaderDecoder()
    added = b"\x40\x01x\x011"
    assert decoder.decode(added) == decoder.decode(b"\xbe") == [("x", "1")]
    # The table is emptied, and then as large as before (RFC 7541, section 4.2).
    assert decoder.decode(b"\x20\x3f\xe1\x1f") == []
    with pytest.raises(CompressionError):
        decoder.decode(b"\xbe")


# -- sending


def decoded(peer: Decoder, block: bytes) -> list[tuple[str, str]]:
    """The headers that a peer reads."""
    return [(str(name), str(value)) for name, value in peer.decode(block)]


def test_shared_headers_are_encoded_once_and_own_ones_never_indexed() -> None:
    hpack = Encoder()
    encoder, peer = HeaderEncoder(hpack), Decoder()
    sizes = []
    for _ in range(3):
        block = encoder.encode(SHARED, [("x-secret", "1")])
        sizes.append(len(block))
        assert decoded(peer, block) == [*SHARED, ("x-secret", "1")]
    assert sizes[0] > sizes[1] == sizes[2]
    assert (b"x-secret", b"1") not in hpack.header_table.dynamic_entries


@pytest.mark.parametrize(
    "sizes", [[0], [0, 4096], [4096, 0, 4096], [100, 4000, 50, 200], [0, 0], [0] * 9]
)
def test_the_peer_resizes_the_table(sizes: list[int]) -> None:
    """The smallest size and the last are announced, and nothing is stale."""
    hpack = Encoder()
    encoder, peer = HeaderEncoder(hpack), Decoder()
    for _ in range(2):
        peer.decode(encoder.encode(SHARED, []))
    for size in sizes:
        hpack.header_table_size = size
        encoder.on_settings()
        assert len(hpack.table_size_changes) <= 2
    peer.max_allowed_table_size = sizes[-1]
    announced = []
    for _ in range(3):
        block = encoder.encode(SHARED, [])
        assert decoded(peer, block) == list(SHARED)
        assert peer.header_table_size == sizes[-1]
        announced.append(block[0] & 0xE0 == 0x20)
    assert announced == [True, False, False]
