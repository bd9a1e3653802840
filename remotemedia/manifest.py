"""From what a user writes to a checked ``PipelineManifest``.

A manifest may be a dict, JSON text, or the message itself. The rules that it must
obey are the contract's, and the embedded service checks them with the same code.

Keys of a dict are the names of the message's fields, in snake_case or as
protobuf's JSON spells them (``node_type``, ``nodeType``). Three of them take more:
``params`` may be an object, a connection may say ``from_node`` and ``to_node``, and
an enum may be a member, its number or its name.
"""

from __future__ import annotations

import dataclasses
import json
import re
import reprlib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from graphlib import CycleError, TopologicalSorter
from typing import (
    Any,
    NamedTuple,
    NoReturn,
    TypeAlias,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
)

import betterproto
from betterproto.casing import camel_case, snake_case

from remotemedia.errors import RemoteMediaError
from remotemedia.v1 import Connection, ErrorType, NodeManifest, PipelineManifest

ManifestSource: TypeAlias = "PipelineManifest | Mapping[str, object] | str"
"""What describes a pipeline: the message, a dict, or JSON text."""

VERSION = "v1"

MessageT = TypeVar("MessageT", bound=betterproto.Message)
EnumT = TypeVar("EnumT", bound=betterproto.Enum)

_NODE_ID = re.compile(r"[A-Za-z0-9_-]+")

# Spellings beside the field's own. `from` cannot be a keyword argument, so it is
# found as `from_` where a dict was made with dict(...).
_ALIASES: dict[tuple[type, str], tuple[str, ...]] = {
    (Connection, "from_"): ("from_", "from_node", "fromNode"),
    (Connection, "to"): ("to_node", "toNode"),
}


class _Place(NamedTuple):
    """Where in a manifest something stands, and the node that it belongs to."""

    path: str
    node_id: str = ""

    def __str__(self) -> str:
        return f"{self.path} (node {self.node_id!r})" if self.node_id else self.path

    def at(self, step: str) -> _Place:
        return self._replace(path=f"{self.path}{step}")

    def error(self, problem: str) -> RemoteMediaError:
        return RemoteMediaError(
            f"{self} {problem}",
            error_type=ErrorType.VALIDATION,
            failing_node_id=self.node_id,
        )


def to_manifest(source: ManifestSource) -> PipelineManifest:
    """Turn a dict, JSON text or message into a manifest that obeys the contract.

    A message is checked and returned as it is. In the other forms ``null`` means
    that the key is not there, and a node without params gets ``{}``.

    Raises:
        RemoteMediaError: the manifest breaks a rule (see :func:`check`), has a key
            that no manifest has, or a value of the wrong type. The type is
            ``ErrorType.VALIDATION``; the message says where, and `failing_node_id`
            names the node where one is to blame.
        TypeError: `source` is none of the three, or an object in `params` is
            nothing that JSON can say.
        ValueError: a number in `params` is infinite or NaN.
    """
    if isinstance(source, PipelineManifest):
        manifest = source
    elif isinstance(source, (str, Mapping)):
        place = _Place("manifest")
        data = _parse_json(source, place) if isinstance(source, str) else source
        manifest = _read_message(PipelineManifest, data, place)
    else:
        raise TypeError(
            "a manifest is a dict, JSON text (str) or a PipelineManifest, "
            f"not {type(source).__name__}"
        )
    check(manifest)
    return manifest


def check(manifest: PipelineManifest) -> None:
    """Check a manifest against the rules of the contract.

    It has version ``v1``, a name and at least one node; node ids are unique and
    consist of letters, digits, ``_`` and ``-``; every node has a type, and params
    that are a JSON object or empty; connections join known nodes and form no cycle.
    A connection given twice is no error, as the contract does not forbid it.

    Raises:
        RemoteMediaError: a rule is broken; `error_type` is VALIDATION.
    """
    if manifest.version != VERSION:
        raise _Place("manifest.version").error(
            f"is {manifest.version!r}; it must be {VERSION!r}"
        )
    if not manifest.metadata.name:
        raise _Place("manifest.metadata.name").error("is empty; a pipeline has a name")
    if not manifest.nodes:
        raise _Place("manifest.nodes").error("is empty; there is at least one node")
    seen: dict[str, int] = {}
    for index, node in enumerate(manifest.nodes):
        place = _Place(f"manifest.nodes[{index}]", node.id)
        if not _NODE_ID.fullmatch(node.id):
            raise place.at(".id").error(
                f"is {node.id!r}; an id is one or more letters, digits, '_' and '-'"
            )
        if node.id in seen:
            raise place.at(".id").error(
                f"is {node.id!r}, as that of nodes[{seen[node.id]}]; ids are unique"
            )
        seen[node.id] = index
        if not node.node_type:
            raise place.at(".node_type").error("is empty; a node has a type")
        if node.params:
            params = _parse_json(node.params, place.at(".params"))
            if not isinstance(params, dict):
                raise place.at(".params").error(
                    f"is {reprlib.repr(params)}; it must be a JSON object, or empty"
                )
    for index, connection in enumerate(manifest.connections):
        place = _Place(f"manifest.connections[{index}]")
        for end, node_id in ((".from", connection.from_), (".to", connection.to)):
            if node_id not in seen:
                raise place.at(end).error(
                    f"is {node_id!r}, and there is no such node"
                    f"{_suggestion(node_id, seen)}"
                )
    execution_order(manifest)


def execution_order(manifest: PipelineManifest) -> list[NodeManifest]:
    """The nodes in topological order: each after all that it takes input from.

    Nodes that do not depend on one another stay in the manifest's order.

    Args:
        manifest: a manifest with unique node ids, and connections that join only
            known nodes.

    Raises:
        RemoteMediaError: the connections form a cycle, which the message shows;
            `error_type` is VALIDATION.
    """
    nodes = {node.id: node for node in manifest.nodes}
    sorter: TopologicalSorter[str] = TopologicalSorter(dict.fromkeys(nodes, ()))
    for connection in manifest.connections:
        sorter.add(connection.to, connection.from_)
    try:
        return [nodes[node_id] for node_id in sorter.static_order()]
    except CycleError as error:
        cycle = " → ".join(error.args[1])
        raise _Place("manifest.connections").error(
            f"form a cycle: {cycle}. Data flows one way through a pipeline"
        ) from None


def to_json_text(value: object, where: str) -> str:
    """Encode a value as JSON text, as the contract's JSON fields carry it.

    Args:
        value: a str is JSON text already and returned as it is. Anything else is
            encoded.
        where: what the value is, for the error: ``"data_inputs['gain']"``.

    Raises:
        TypeError: JSON has nothing for a value of this type, such as bytes.
        ValueError: a number is infinite or NaN, or the value contains itself or is
            nested too deeply.
    """
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, allow_nan=False)
    except TypeError as error:
        raise TypeError(
            f"{where}: {error}; use dict, list, str, int, float, bool and None "
            "(numpy values have .tolist())"
        ) from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where}: JSON cannot say this value: {error}") from error


def _parse_json(text: str, place: _Place) -> object:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise place.error(f"is not valid JSON: {error}") from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _read_message(cls: type[MessageT], value: object, place: _Place) -> MessageT:
    """Read a dict as a message: the message's own fields say what may be in it."""
    if isinstance(value, cls):
        return value
    if not isinstance(value, Mapping):
        raise place.error(f"is {reprlib.repr(value)}; it must be an object")
    fields = _fields(cls)
    arguments: dict[str, Any] = {}
    given: dict[str, object] = {}
    for key, item in value.items():
        if key not in fields:
            raise place.error(
                f"has an unknown key {key!r}{_suggestion(str(key), fields)}"
            )
        name, hint = fields[key]
        if name in given:
            raise place.error(f"has {given[name]!r} and {key!r}, which are the same")
        given[name] = key
        if item is not None:
            arguments[name] = _read_value(hint, item, place.at(f".{key}"))
    return cls(**arguments)


def _read_node(value: object, place: _Place) -> NodeManifest:
    """Read a node, whose errors bear its id and whose params may be an object."""
    if isinstance(value, Mapping):
        if isinstance(value.get("id"), str):
            place = place._replace(node_id=value["id"])
        params = value.get("params")
        if params is None:
            params = {}
        value = {**value, "params": to_json_text(params, f"{place.at('.params')}")}
    return _read_message(NodeManifest, value, place)


def _read_value(hint: Any, value: object, place: _Place) -> object:
    """Read a value as what the type hint of a message's field says."""
    if get_origin(hint) is list:
        if not isinstance(value, (list, tuple)):
            raise place.error(f"is {reprlib.repr(value)}; it must be a list")
        (item_hint,) = get_args(hint)
        return [
            _read_value(item_hint, item, place.at(f"[{index}]"))
            for index, item in enumerate(value)
        ]
    if hint is NodeManifest:
        return _read_node(value, place)
    if issubclass(hint, betterproto.Message):
        return _read_message(hint, value, place)
    if issubclass(hint, betterproto.Enum):
        return _read_enum(hint, value, place)
    accepted = (int, float) if hint is float else hint
    # True is an int to Python, but not in a manifest.
    if not isinstance(value, accepted) or isinstance(value, bool) != (hint is bool):
        raise place.error(f"is {reprlib.repr(value)}; it must be {hint.__name__}")
    return value


def _read_enum(cls: type[EnumT], value: object, place: _Place) -> EnumT:
    """Read a member, its number, or its name with or without the enum's prefix."""
    members: list[EnumT] = list(cls)
    if isinstance(value, str):
        value = value.removeprefix(f"{snake_case(cls.__name__).upper()}_")
    for member in members:
        if value in (member, member.name) and not isinstance(value, bool):
            return member
    raise place.error(
        f"is {reprlib.repr(value)}; it must be one of "
        f"{', '.join(map(str, members))}, or its number"
    )


@cache
def _fields(cls: type[Any]) -> dict[str, tuple[str, Any]]:
    """What may stand in a dict: each spelling, with the field's name and type."""
    hints = get_type_hints(cls)
    fields = {}
    for field in dataclasses.fields(cls):
        plain = field.name.rstrip("_")  # as the proto has it: `from`, not `from_`
        aliases = _ALIASES.get((cls, field.name), ())
        for spelling in (plain, camel_case(plain), *aliases):
            fields[spelling] = (field.name, hints[field.name])
    return fields


def _suggestion(word: str, known: Iterable[str]) -> str:
    close = get_close_matches(word, known, 1)
    return f"; did you mean {close[0]!r}?" if close else ""
