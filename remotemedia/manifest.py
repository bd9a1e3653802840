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
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
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


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


# json.loads and json.dumps would make one for each call.
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)
_ENCODER = json.JSONEncoder(allow_nan=False)

# What JSON's objects are given as. To see a dict as a Mapping takes longer.
_OBJECT = (dict, Mapping)

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
        return _Place(self.path + step, self.node_id)

    def error(self, problem: str) -> RemoteMediaError:
        return RemoteMediaError(
            f"{self} {problem}",
            error_type=ErrorType.VALIDATION,
            failing_node_id=self.node_id,
        )


class _Field(NamedTuple):
    """How to read a field of a message from a dict."""

    name: str
    exact: type | None
    """If any, a value of just this type is taken as it is, and needs no place."""
    read: Callable[[Any, _Place], object]


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
    elif isinstance(source, (str, *_OBJECT)):
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
        _check_node(node, index, seen)
        seen[node.id] = index
    goes_back = False
    for index, connection in enumerate(manifest.connections):
        from_, to = connection.from_, connection.to
        for end, node_id in ((".from", from_), (".to", to)):
            if node_id not in seen:
                raise _Place(f"manifest.connections[{index}]{end}").error(
                    f"is {node_id!r}, and there is no such node"
                    f"{_suggestion(node_id, seen)}"
                )
        goes_back |= seen[from_] >= seen[to]
    # Connections that all lead to a later node form no cycle.
    if goes_back:
        execution_order(manifest)


def _check_node(node: NodeManifest, index: int, seen: Mapping[str, int]) -> None:
    node_id, params = node.id, node.params
    if not _NODE_ID.fullmatch(node_id):
        raise _Place(f"manifest.nodes[{index}].id", node_id).error(
            f"is {node_id!r}; an id is one or more letters, digits, '_' and '-'"
        )
    if node_id in seen:
        raise _Place(f"manifest.nodes[{index}].id", node_id).error(
            f"is {node_id!r}, as that of nodes[{seen[node_id]}]; ids are unique"
        )
    if not node.node_type:
        raise _Place(f"manifest.nodes[{index}].node_type", node_id).error(
            "is empty; a node has a type"
        )
    if params and params != "{}":
        place = _Place(f"manifest.nodes[{index}].params", node_id)
        value = _parse_json(params, place)
        if not isinstance(value, dict):
            raise place.error(
                f"is {reprlib.repr(value)}; it must be a JSON object, or empty"
            )


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
        return _ENCODER.encode(value)
    except TypeError as error:
        raise TypeError(
            f"{where}: {error}; use dict, list, str, int, float, bool and None "
            "(numpy values have .tolist())"
        ) from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where}: JSON cannot say this value: {error}") from error


def _parse_json(text: str, place: _Place) -> object:
    try:
        if not isinstance(text, str) or text.startswith("\ufeff"):
            # json.loads also knows bytes, and a byte order mark when it sees one.
            return json.loads(text, parse_constant=_refuse_constant)
        return _DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        raise place.error(f"is not valid JSON: {error}") from error


def _read_message(cls: type[MessageT], value: object, place: _Place) -> MessageT:
    """Read a dict as a message: the message's own fields say what may be in it."""
    if not isinstance(value, _OBJECT):
        if isinstance(value, cls):
            return value
        raise place.error(f"is {reprlib.repr(value)}; it must be an object")
    fields = _fields(cls)
    arguments: dict[str, Any] = {}
    given: dict[str, object] = {}
    for key, item in value.items():
        field = fields.get(key)
        if field is None:
            raise place.error(
                f"has an unknown key {key!r}{_suggestion(str(key), fields)}"
            )
        name = field.name
        if name in given:
            raise place.error(f"has {given[name]!r} and {key!r}, which are the same")
        given[name] = key
        if type(item) is field.exact:
            arguments[name] = item
        elif item is not None:
            arguments[name] = field.read(item, place.at(f".{key}"))
    return cls(**arguments)


def _read_node(value: object, place: _Place) -> NodeManifest:
    """Read a node, whose errors bear its id and whose params may be an object."""
    if isinstance(value, _OBJECT):
        if isinstance(value.get("id"), str):
            place = _Place(place.path, value["id"])
        params = value.get("params")
        if params is None:
            value = {**value, "params": "{}"}
        elif not isinstance(params, str):
            text = to_json_text(params, f"{place.at('.params')}")
            value = {**value, "params": text}
    return _read_message(NodeManifest, value, place)


def _read_list(
    read: Callable[[object, _Place], object], value: object, place: _Place
) -> list[object]:
    if not isinstance(value, (list, tuple)):
        raise place.error(f"is {reprlib.repr(value)}; it must be a list")
    return [read(item, place.at(f"[{index}]")) for index, item in enumerate(value)]


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


def _read_plain(cls: type, value: object, place: _Place) -> object:
    accepted = (int, float) if cls is float else cls
    # True is an int to Python, but not in a manifest.
    if not isinstance(value, accepted) or isinstance(value, bool) != (cls is bool):
        raise place.error(f"is {reprlib.repr(value)}; it must be {cls.__name__}")
    return value


def _reader(hint: Any) -> Callable[[Any, _Place], object]:
    """What reads a value as the type hint of a message's field says."""
    if get_origin(hint) is list:
        (item_hint,) = get_args(hint)
        return partial(_read_list, _reader(item_hint))
    if hint is NodeManifest:
        return _read_node
    if issubclass(hint, betterproto.Message):
        return partial(_read_message, hint)
    if issubclass(hint, betterproto.Enum):
        return partial(_read_enum, hint)
    return partial(_read_plain, hint)


@cache
def _fields(cls: type[Any]) -> dict[str, _Field]:
    """What may stand in a dict: each spelling of each field."""
    hints = get_type_hints(cls)
    fields: dict[str, _Field] = {}
    for field in dataclasses.fields(cls):
        hint = hints[field.name]
        exact = hint if hint in (str, int, float, bool) else None
        reading = _Field(field.name, exact, _reader(hint))
        plain = field.name.rstrip("_")  # as the proto has it: `from`, not `from_`
        aliases = _ALIASES.get((cls, field.name), ())
        for spelling in (plain, camel_case(plain), *aliases):
            fields[spelling] = reading
    return fields


def _suggestion(word: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches  # seldom needed, and slow to import

    close = get_close_matches(word, known, 1)
    return f"; did you mean {close[0]!r}?" if close else ""
