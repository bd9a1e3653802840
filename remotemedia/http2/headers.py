"""Header blocks: HPACK with limits, and a memory of the blocks that come again.

hpack does the coding. It takes a block as a whole, in time that grows with the square
of the number of headers, and ends the connection over a list that is too long, although
only the table of headers has to stay right. So a block is cut into its headers here,
which is cheap, and hpack decodes one after the other.

Numbers are those of RFC 7541.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import starmap
from typing import Generic, TypeAlias, TypeVar

from h2.errors import ErrorCodes
from h2.exceptions import DenialOfServiceError, ProtocolError
from hpack.exceptions import HPACKError, OversizedHeaderListError
from hpack.hpack import Decoder, Encoder, decode_integer, encode_integer
from hpack.table import HeaderTable, table_entry_size

Headers: TypeAlias = "tuple[tuple[str, str], ...]"
"""Headers that many requests have in common."""
ReceivedHeaders: TypeAlias = "list[tuple[str, str]]"
KeyT = TypeVar("KeyT")
ValueT = TypeVar("ValueT")

MAX_HEADER_LIST_BYTES = 64 * 1024
"""The largest list of headers, as RFC 9113, section 6.5.2, counts it: the names, the
values, and 32 bytes for each. It is announced to the peer."""
MAX_HEADER_BLOCK_BYTES = 2 * MAX_HEADER_LIST_BYTES
"""How much is read of a list that is too large, encoded or decoded. Up to here it costs
the peer one call, and beyond it the connection: what is not decoded makes HPACK's table
wrong (RFC 9113, section 10.5.1)."""

# RFC 7541, section 4.2: the smallest size of the table, and the last.
_MAX_TABLE_UPDATES = 2
# An integer of HPACK that is longer is refused by hpack.
_MAX_INTEGER_BYTES = 6
# A service answers with two or three different header blocks.
_MAX_KNOWN_BLOCKS = 64
_MAX_KNOWN_BLOCK_BYTES = 4 * 1024


class HeadersTooLargeError(Exception):
    """A list of headers is too large; it was read to its end, and HPACK is right."""


class CompressionError(ProtocolError):
    """A header block makes no sense, so that no later one can be read."""

    error_code = ErrorCodes.COMPRESSION_ERROR


class HeaderDecoder:
    """Decodes the header blocks of one connection."""

    def __init__(self) -> None:
        self._table = _Table()
        self._hpack = Decoder(MAX_HEADER_BLOCK_BYTES)
        self._hpack.header_table = self._table
        self._known: _KnownBlocks[bytes, ReceivedHeaders] = _KnownBlocks(self._table)

    def decode(self, block: bytes) -> ReceivedHeaders:
        """The headers in a block. Any byte is a character of them.

        Raises:
            HeadersTooLargeError: they are over the limit.
            CompressionError: the block makes no sense.
            DenialOfServiceError: it is so large that it was not read.
        """
        headers = self._known.get(block)
        if headers is None:
            before = self._table.version
            try:
                headers = self._decode(block)
            except OversizedHeaderListError as error:
                raise far_too_large() from error
            except HPACKError as error:
                raise CompressionError(f"a header block is invalid: {error}") from error
            if len(block) <= _MAX_KNOWN_BLOCK_BYTES:
                self._known.put(block, headers, before)
        return headers

    def _decode(self, block: bytes) -> ReceivedHeaders:
        headers: ReceivedHeaders = []
        list_bytes = updates = pos = 0
        stop = len(block)
        while pos < stop:
            first = block[pos]
            start, pos = pos, _end_of_field(block, pos)
            if first & 0xE0 == 0x20:
                updates += 1
                # The table may be empty now, and as large as before.
                self._table.version += 1
                if list_bytes or updates > _MAX_TABLE_UPDATES:
                    raise CompressionError("a header block resizes the table too often")
            for name, value in self._hpack.decode(block[start:pos], raw=True):
                list_bytes += table_entry_size(name, value)
                if list_bytes <= MAX_HEADER_LIST_BYTES:
                    headers.append((name.decode("latin-1"), value.decode("latin-1")))
                elif list_bytes > MAX_HEADER_BLOCK_BYTES:
                    raise far_too_large()
        if list_bytes > MAX_HEADER_LIST_BYTES:
            raise HeadersTooLargeError(
                f"the peer sent {list_bytes} bytes of headers, over the limit of "
                f"{MAX_HEADER_LIST_BYTES}"
            )
        return headers


class HeaderEncoder:
    """Encodes the header blocks of one connection.

    Args:
        encoder: hpack's encoder, whose table the peer's settings resize.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._table = _Table()
        self._hpack = encoder
        self._hpack.header_table = self._table
        self._known: _KnownBlocks[Headers, bytes] = _KnownBlocks(self._table)

    def encode(self, shared: Headers, own: Sequence[tuple[str, str]]) -> bytes:
        """The block of headers that enter the table, and of others that never do."""
        block = self._known.get(shared)
        if block is None:
            before = self._table.version
            announces_size = self._hpack.header_table.resized
            block = self._hpack.encode(shared)
            if not announces_size:
                self._known.put(shared, block, before)
        return block + b"".join(starmap(_literal, own))

    def on_settings(self) -> None:
        """The peer may have resized the table.

        Of several sizes between two blocks, the smallest and the last are announced
        (RFC 7541, section 4.2). hpack would announce all of them.
        """
        sizes = self._hpack.table_size_changes
        if sizes:
            self._table.version += 1
            self._table.resized = True
            sizes[:] = sorted({min(sizes), sizes[-1]})


class _Table(HeaderTable):
    """HPACK's table of headers, which counts its changes."""

    def __init__(self) -> None:
        super().__init__()
        self.version = 0
        """Equal for as long as the same block means the same headers."""

    def add(self, name: bytes, value: bytes) -> None:
        """Add a header; the oldest leave where there is no room."""
        super().add(name, value)
        self.version += 1


class _KnownBlocks(Generic[KeyT, ValueT]):
    """Header blocks that were coded before, valid while the table does not change."""

    def __init__(self, table: _Table) -> None:
        self._table = table
        self._version = table.version
        self._values: dict[KeyT, ValueT] = {}

    def get(self, key: KeyT) -> ValueT | None:
        """What was remembered, if it still holds."""
        if self._table.version != self._version:
            return None
        return self._values.get(key)

    def put(self, key: KeyT, value: ValueT, before: int) -> None:
        """Remember what was coded, if coding it left the table as it was before."""
        now = self._table.version
        if now != before:
            return
        if now != self._version or len(self._values) >= _MAX_KNOWN_BLOCKS:
            self._values.clear()
            self._version = now
        self._values[key] = value


def _end_of_field(block: bytes, pos: int) -> int:
    """Where a field of a header block ends (section 6); beyond the block, if it is cut.

    Raises:
        HPACKDecodingError: an integer is invalid.
    """
    first = block[pos]
    if first & 0x80:
        return _integer(block, pos, 7)[1]
    if first & 0xE0 == 0x20:
        return _integer(block, pos, 5)[1]
    index, pos = _integer(block, pos, 6 if first & 0x40 else 4)
    for _ in range(1 if index else 2):
        size, pos = _integer(block, pos, 7)
        pos += size
    return pos


def _integer(block: bytes, pos: int, prefix_bits: int) -> tuple[int, int]:
    value, size = decode_integer(block[pos : pos + _MAX_INTEGER_BYTES], prefix_bits)
    return value, pos + size


def far_too_large() -> DenialOfServiceError:
    """The end of the connection for headers that are not read to their end."""
    return DenialOfServiceError(
        f"it sent more than {MAX_HEADER_BLOCK_BYTES} bytes of headers"
    )


def _literal(name: str, value: str) -> bytes:
    """A header marked never to be indexed (section 6.2.3)."""
    return b"".join((b"\x10", *_string(name), *_string(value)))


def _string(text: str) -> tuple[bytes | bytearray, bytes]:
    """A length and a text, without Huffman coding."""
    data = text.encode()
    size = len(data)
    return bytes((size,)) if size < 0x7F else encode_integer(size, 7), data
