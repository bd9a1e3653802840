"""The arguments of a channel: what is taken, and what is refused and why."""

from __future__ import annotations

from typing import Any

import pytest

from remotemedia import TLS, RemoteMediaClient
from remotemedia.http2.address import Address
from remotemedia.http2.config import ChannelConfig
from remotemedia.http2.keepalive import KeepaliveTimes


def test_one_address_or_several() -> None:
    for given in ("a:1", ["a:1"], ("a:1",), Address("a", 1), [Address("a", 1)]):
        config = ChannelConfig.of(given)
        assert [server.address for server in config.servers] == [Address("a", 1)]
        assert str(config) == "a:1"
    assert str(ChannelConfig.of(["a:1", "unix:/s"])) == "a:1, unix:/s"


def test_keepalive_may_be_switched_off() -> None:
    assert ChannelConfig.of("a:1").keepalive == KeepaliveTimes(10.0, 20.0)
    assert ChannelConfig.of("a:1", keepalive=None).keepalive is None


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"address": []}, ValueError, "empty list"),
        ({"address": ["a:1", "b:1", "a:1"]}, ValueError, "a:1 is listed twice"),
        ({"address": ["a:1", "b"]}, ValueError, "'b' is not one of host:port"),
        ({"address": [1]}, TypeError, "must be a str, got int"),
        ({"address": {"a:1"}}, TypeError, "a str or a list of them"),
        ({"address": None}, TypeError, "a str or a list of them"),
        ({"connections": 0}, ValueError, "connections must be at least 1, got 0"),
        ({"connections": True}, TypeError, "connections must be an int"),
        ({"connections": 1.5}, TypeError, "connections must be an int"),
        ({"keepalive": 0}, ValueError, "keepalive must be positive"),
        ({"keepalive": "1"}, TypeError, "keepalive must be a number of seconds"),
        ({"keepalive_timeout": None}, TypeError, "pass keepalive=None"),
        ({"keepalive_timeout": -1}, ValueError, "keepalive_timeout must be positive"),
        ({"connect_timeout": "1"}, TypeError, "connect_timeout must be a number"),
        ({"ssl": TLS(ca="/no/such.pem")}, FileNotFoundError, "/no/such.pem"),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(
    arguments: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        ChannelConfig.of(**{"address": "a:1", **arguments})
    make: Any = RemoteMediaClient
    with pytest.raises(error, match=text):
        make(**{"address": "a:1", **arguments})


def test_where_plaintext_would_leave_this_machine() -> None:
    local = ["localhost:1", "127.0.0.1:2", "unix:/s"]
    assert ChannelConfig.of(local).exposed == ""
    assert ChannelConfig.of([*local, "a:1", "b:1"]).exposed == "a:1"
    assert ChannelConfig.of([*local, "a:1"], ssl=True).exposed == ""
    with pytest.raises(ValueError, match="travel to a:1 in plaintext"):
        RemoteMediaClient([*local, "a:1"], token="t")
    RemoteMediaClient(local, token="t")
    RemoteMediaClient(["a:1"], token="t", allow_insecure_token=True)
