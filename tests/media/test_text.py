"""Text as a message."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remotemedia.data_v1 import TextBuffer


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_comes_back(text: str) -> None:
    sent = TextBuffer.from_text(text, language="en", channel="main")
    received = TextBuffer.FromString(bytes(sent))
    assert received.text == text
    assert (received.encoding, received.language, received.channel) == (
        *("utf-8", "en", "main"),
    )


def test_half_of_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(ValueError, match="surrogates not allowed"):
        TextBuffer.from_text("\ud800")


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("", "é".encode()),
        ("utf-8", "é".encode()),
        ("UTF8", "é".encode()),
        ("utf_16", "é".encode("utf-16")),
        ("UTF-16LE", "é".encode("utf-16-le")),
        ("utf-32be", "é".encode("utf-32-be")),
        ("ISO-8859-1", b"\xe9"),
        ("latin-1", b"\xe9"),
    ],
)
def test_usual_encodings_are_read(encoding: str, data: bytes) -> None:
    assert TextBuffer(text_data=data, encoding=encoding).text == "é"


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_bytes_that_are_no_text_are_refused(encoding: str) -> None:
    with pytest.raises(ValueError, match="can't decode byte 0xff"):
        _ = TextBuffer(text_data=b"\xff", encoding=encoding).text


@pytest.mark.parametrize(
    "encoding", ["idna", "hex", "unicode_escape", "a\0b", "os.path", "x" * 100_000]
)
def test_other_encodings_are_refused(encoding: str) -> None:
    with pytest.raises(ValueError, match="decode text_data with a codec") as caught:
        _ = TextBuffer(text_data=b"a", encoding=encoding).text
    assert len(str(caught.value)) < 200
