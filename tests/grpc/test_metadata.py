"""Metadata: every form, every mistake, merging, and no secret in a repr."""

from __future__ import annotations

import pytest

from remotemedia.grpc.metadata import Metadata, MetadataLike, authorization


@pytest.mark.parametrize(
    "given",
    [
        {"a": "1", "b-bin": b"2"},
        [("a", "1"), ("b-bin", b"2")],
        (("a", "1"), ("b-bin", b"2")),
    ],
)
def test_the_forms(given: MetadataLike) -> None:
    assert Metadata.of(given) == (("a", "1"), ("b-bin", b"2"))


def test_none_is_none() -> None:
    assert Metadata.of(None) == ()


def test_what_was_checked_is_not_checked_again() -> None:
    checked = Metadata.of({"a": "1"})
    assert Metadata.of(checked) is checked
    assert checked.merged(None) is checked


@pytest.mark.parametrize("key", ["", "A", "a b", "grpc-timeout", ":path", "ä", "a\n"])
def test_a_key_that_no_header_can_carry(key: str) -> None:
    with pytest.raises(ValueError, match="lower-case letters"):
        Metadata.of({key: "1"})


@pytest.mark.parametrize(
    ("key", "value"), [("a", "s3cret\n"), ("a", b"s3cret"), ("a-bin", "s3cret")]
)
def test_a_value_that_no_header_can_carry(key: str, value: str | bytes) -> None:
    with pytest.raises(ValueError, match="the value must be") as caught:
        Metadata.of([(key, value)])
    assert "s3cret" not in str(caught.value)


def test_a_calls_own_replaces_the_others() -> None:
    ours = Metadata.of([("a", "1"), ("b", "2"), ("a", "3")])
    merged = ours.merged([("a", "4"), ("a", "5"), ("c", "6")])
    assert merged == (("b", "2"), ("a", "4"), ("a", "5"), ("c", "6"))


def test_bytes_travel_as_base64_without_padding() -> None:
    given: dict[str, str | bytes] = {"a": "1", "b-bin": b"\0"}
    assert Metadata.of(given).headers() == [
        ("a", "1"),
        ("b-bin", "AA"),
    ]


def test_values_are_not_shown() -> None:
    shown = repr(Metadata.of({"authorization": "s3cret", "a": "1"}))
    assert shown == "<Metadata: authorization, a>"


def test_a_token_travels_as_a_bearer() -> None:
    assert authorization("t0k") == ("authorization", "Bearer t0k")
