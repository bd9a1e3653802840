"""The private names of grpclib and h2: all are there, and all are in one module."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpclib
import h2
import pytest
from grpclib.protocol import EventsProcessor
from grpclib.server import Server, Stream
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived
from hyperframe.frame import GoAwayFrame

import remotemedia.testing
from remotemedia.http2 import compat
from remotemedia.http2.compat import (
    CLIENT_NAMES,
    SERVER_NAMES,
    TESTED_VERSIONS,
    check_names,
)

TESTING = Path(remotemedia.testing.__file__).parent


def foreign_private_names(path: Path) -> Iterator[str]:
    """Every private attribute in a file that is not used on ``self``."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_"):
            is_own = isinstance(node.value, ast.Name) and node.value.id == "self"
            if not is_own and not node.attr.endswith("__"):
                yield node.attr


# What is checked, and how


@pytest.mark.parametrize("names", [CLIENT_NAMES, SERVER_NAMES])
def test_every_name_that_is_used_is_there(names: dict[str, tuple[str, ...]]) -> None:
    check_names(names)


@pytest.mark.parametrize(
    ("path", "name"),
    [(path, name) for path, names in CLIENT_NAMES.items() for name in names],
)
def test_a_name_that_the_client_needs_is_missed(path: str, name: str) -> None:
    with pytest.raises(ImportError, match=rf"lacks {path}\.{name}x; "):
        check_names({path: (f"{name}x",)})


def test_importing_the_client_checks_its_names() -> None:
    program = (
        "import h2.connection\n"
        "del h2.connection.H2Connection._begin_new_stream\n"
        "import remotemedia\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "lacks h2.connection.H2Connection._begin_new_stream" in done.stderr


@pytest.mark.parametrize(
    ("owner", "name", "message"),
    [
        (
            Server,
            "_protocol_factory",
            "grpclib 0.5.0 lacks grpclib.server.Server._protocol_factory; "
            "remotemedia is tested with 0.4.9",
        ),
        (
            Stream,
            "_cancel_done",
            "grpclib 0.5.0 lacks grpclib.server.Stream._cancel_done; "
            "remotemedia is tested with 0.4.9",
        ),
    ],
)
def test_a_method_that_is_missing_is_an_error_with_both_versions(
    monkeypatch: pytest.MonkeyPatch, owner: type, name: str, message: str
) -> None:
    monkeypatch.setattr(grpclib, "__version__", "0.5.0")
    monkeypatch.delattr(owner, name)
    with pytest.raises(ImportError) as caught:
        check_names(SERVER_NAMES)
    assert str(caught.value) == message


def test_an_attribute_that_init_does_not_set_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def init_without_the_attribute(self: H2Connection) -> None:
        """Set nothing."""

    monkeypatch.setattr(H2Connection, "__init__", init_without_the_attribute)
    monkeypatch.setattr(h2, "__version__", "5.0.0")
    with pytest.raises(ImportError) as caught:
        check_names(SERVER_NAMES)
    assert str(caught.value) == (
        "h2 5.0.0 lacks h2.connection.H2Connection.highest_inbound_stream_id; "
        "remotemedia is tested with 4.4.1"
    )


def test_a_class_that_is_missing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("grpclib.server.Handler")
    with pytest.raises(ImportError, match=r"lacks grpclib\.server\.Handler\._tasks; "):
        check_names(SERVER_NAMES)


def test_importing_the_service_checks_the_names() -> None:
    program = (
        "import grpclib.server\n"
        "del grpclib.server.Server._protocol_factory\n"
        "import remotemedia.testing\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "lacks grpclib.server.Server._protocol_factory; remotemed" in done.stderr


def test_the_tested_versions_are_the_installed_ones() -> None:
    assert TESTED_VERSIONS["grpclib"] == grpclib.__version__
    assert TESTED_VERSIONS["h2"].split(".")[:2] == h2.__version__.split(".")[:2]


def test_new_calls_come_in_as_one_event() -> None:
    processor = EventsProcessor.__new__(EventsProcessor)
    EventsProcessor.__init__(processor, None, None)  # type: ignore[arg-type]  # not used yet
    assert RequestReceived in processor.processors


def test_every_private_name_that_is_used_is_in_a_list() -> None:
    listed = {
        name
        for names in (*CLIENT_NAMES.values(), *SERVER_NAMES.values())
        for name in names
    }
    assert set(foreign_private_names(Path(compat.__file__))) <= listed


@pytest.mark.parametrize(
    "path", sorted(TESTING.glob("*.py")), ids=lambda path: path.name
)
def test_the_service_uses_private_names_through_this_module_only(path: Path) -> None:
    assert not set(foreign_private_names(path))


def test_importing_this_module_does_not_load_the_server() -> None:
    program = (
        "import sys, remotemedia.http2.compat\n"
        "sys.exit('grpclib.server' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


# The client and h2

CONFIG = H2Configuration(client_side=True)


def test_h2_and_we_write_to_the_same_bytes() -> None:
    connection = compat.OpenH2Connection(CONFIG)
    connection.initiate_connection()
    greeting = bytes(connection.outgoing)
    assert greeting.startswith(b"PRI * HTTP/2.0")
    assert connection.take_outgoing() == greeting
    connection.ping(bytes(8))
    connection.outgoing += b"ours"
    connection.ping(bytes(8))
    first, ours, second = connection.take_outgoing().partition(b"ours")
    assert ours
    assert first == second != b""
    assert connection.outgoing == b""


def test_a_goaway_is_told_with_its_facts() -> None:
    connection = compat.OpenH2Connection(CONFIG)
    connection.initiate_connection()
    told: list[tuple[int, int, bytes]] = []
    connection.on_go_away(lambda *facts: told.append(facts))
    frame = GoAwayFrame(0, last_stream_id=7, error_code=11, additional_data=b"why")
    assert connection.receive_data(frame.serialize()) == []
    assert told == [(7, 11, b"why")]


def test_a_streams_window() -> None:
    connection = compat.OpenH2Connection(CONFIG)
    connection.initiate_connection()
    stream = connection.begin_stream(1)
    assert compat.inbound_window(stream).current_window_size == 65_535
    assert connection.inbound_window.current_window_size == 65_535
