"""Metadata: every form, every mistake, merging, and no secret in a repr."""

from __future__ import annotations

import pickle
from typing import Any

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


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (5, "must be a dict or a list of .*, not int"),
        ("authorization", "must be a dict or a list of .*, not str"),
        (b"ab", "must be a dict or a list of .*, not bytes"),
        (["s3cret"], "must have pairs"),
        (["s3"], "must have pairs"),
        ([("a", "s3cret", "b")], "must have pairs"),
        ({5: "s3cret"}, "must have pairs of a key, which is a str"),
    ],
)
def test_what_is_no_metadata(given: Any, text: str) -> None:
    with pytest.raises(TypeError, match=text) as caught:
        Metadata.of(given)
    assert "s3" not in str(caught.value)


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


def test_what_a_peer_sent() -> None:
    received = Metadata.received(
        [
            (":status", "200"),
            ("content-type", "application/grpc"),
            ("grpc-encoding", "gzip"),
            ("x-served-by", "a"),
            ("id-bin", "AAE="),
            ("x-served-by", "b"),
            # Joined on its way, with padding and without.
            ("id-bin", "Ag, AwQ="),
            # Not base64.
            ("id-bin", "!"),
            ("empty-bin", ""),
        ]
    )
    assert list(received) == [
        ("x-served-by", "a"),
        ("id-bin", b"\0\1"),
        ("x-served-by", "b"),
        ("id-bin", b"\2"),
        ("id-bin", b"\3\4"),
        ("empty-bin", b""),
    ]
    assert received.get("x-served-by") == "a"
    assert received.getall("x-served-by") == ["a", "b"]
    assert received.get("id-bin") == b"\0\1"
    assert received.get("other") is None
    assert received.getall("other") == []
    assert Metadata.received(None) == ()


def test_a_token_that_is_sent_back_is_not_kept() -> None:
    assert Metadata.received([("authorization", "Bearer s3cret")]) == ()


def test_what_a_peer_sent_is_checked_before_it_is_sent_on() -> None:
    received = Metadata.received([("a", "1"), ("b", "2")])
    assert Metadata.of(received) == received
    assert type(Metadata.of({"c": "3"}).merged(received)) is Metadata
    with pytest.raises(ValueError, match="must be printable ASCII"):
        Metadata.of(Metadata.received([("a", "caf\xc3")]))


def test_what_a_peer_sent_can_be_pickled() -> None:
    received = Metadata.received([("a", "1"), ("b-bin", "AAE")])
    again = pickle.loads(pickle.dumps(received))
    assert again == received
    assert type(again) is type(received)
    assert repr(again) == "<Metadata: a, b-bin>"
