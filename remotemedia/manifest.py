"""Turns what a user writes as a manifest into a checked ``PipelineManifest``.

A user may write a manifest as a dict, as JSON text, or as the message itself. The
rules that a manifest must obey are the contract's; the embedded service checks them
with the same code.

The keys of a dict are the names of the message's fields, in snake_case or in the
spelling of protobuf's JSON (``node_type`` or ``nodeType``). Three fields accept more
than that: ``params`` may be an object instead of JSON text, a connection may use
``from_node`` and ``to_node``, and an enum may be a member, its number or its name.
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

from remotemedia.errors import NODE_ID, RemoteMediaError
from remotemedia.v1 import Connection, ErrorType, NodeManifest, PipelineManifest

ManifestSource: TypeAlias = "PipelineManifest | Mapping[str, object] | str"
"""A description of a pipeline: the message, a dict, or JSON text."""

VERSION = "v1"
"""The version of the contract, which every manifest states."""

MessageT = TypeVar("MessageT", bound=betterproto.Message)
EnumT = TypeVar("EnumT", bound=betterproto.Enum)

_NODE_ID = re.compile(NODE_ID)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


# json.loads and json.dumps would make a decoder or encoder for each call.
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)
_ENCODER = json.JSONEncoder(allow_nan=False)

# The types that represent a JSON object. The check for dict is the faster one.
_OBJECT = (dict, Mapping)

# Additional spellings of a field's name. `from` is a keyword of Python, so a dict that
# is made with dict(...) has `from_`.
_ALIASES: dict[tuple[type, str], tuple[str, ...]] = {
    (Connection, "from_"): ("from_", "from_node", "fromNode"),
    (Connection, "to"): ("to_node", "toNode"),
}


class _Place(NamedTuple):
    """A position in a manifest, for errors, and the id of the node that it is in."""

    path: str
    node_id: str = ""

    def __str__(self) -> str:
        return f"{self.path} (node {self.node_id!r})" if self.node_id else self.path

    def inner(self, step: str) -> _Place:
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
    plain_type: type | None
    """A value of exactly this type is used as it is; None if there is no such type."""
    read: Callable[[Any, _Place], object]
    """Converts any other value, or raises an error that names the place."""


def to_manifest(source: ManifestSource) -> PipelineManifest:
    """Turn a dict, JSON text or message into a manifest that obeys the contract.

    A message is checked and returned as it is. In a dict or in JSON text, None or
    ``null`` is the same as leaving out the key, and a node without params gets ``{}``.

    Raises:
        RemoteMediaError: the manifest breaks a rule (see :func:`check`), has an
            unknown key, or has a value of the wrong type. `error_type` is VALIDATION,
            the message says where the error is, and `failing_node_id` is the id of
            the node that it is in, if any.
        TypeError: `source` is none of the three, or `params` contains an object that
            JSON cannot represent.
        ValueError: `params` contains a number that is infinite or NaN.
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

    A manifest has version ``v1``, a name and at least one node. Node ids are unique
    and consist of letters, digits, ``_`` and ``-``. Each node has a type, and its
    params are a JSON object or empty. Connections join existing nodes and form no
    cycle; the contract allows the same connection twice.

    Raises:
        RemoteMediaError: the manifest breaks a rule; `error_type` is VALIDATION.
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
    has_backward_connection = False
    for index, connection in enumerate(manifest.connections):
        from_, to = connection.from_, connection.to
        for end, node_id in ((".from", from_), (".to", to)):
            if node_id not in seen:
                raise _Place(f"manifest.connections[{index}]{end}").error(
                    f"is {node_id!r}, and there is no such node"
                    f"{_suggestion(node_id, seen)}"
                )
        has_backward_connection |= seen[from_] >= seen[to]
    # If every connection leads to a later node, there is no cycle.
    if has_backward_connection:
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
    """Return the nodes in topological order: each after the nodes that feed it.

    Nodes that do not depend on each other keep the order of the manifest.

    Args:
        manifest: a manifest whose node ids are unique, and whose connections join
            only existing nodes.

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
    """Encode a value as JSON text, for the contract's fields that contain JSON.

    Args:
        value: a str is taken as JSON text and returned as it is; any other value is
            encoded.
        where: the name of the value for errors, such as ``"data_inputs['gain']"``.

    Raises:
        TypeError: JSON cannot represent a value of this type, such as bytes.
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


def parse_json(text: str) -> Any:
    """Decode JSON text; unlike ``json.loads``, refuse ``NaN`` and ``Infinity``.

    Raises:
        ValueError: the text is not JSON, or is nested too deeply.
    """
    try:
        if not isinstance(text, str) or text.startswith("\ufeff"):
            # json.loads also decodes bytes, and reports a byte order mark as such.
            return json.loads(text, parse_constant=_refuse_constant)
        return _DECODER.decode(text)
    except RecursionError as error:
        raise ValueError(str(error)) from error


def _parse_json(text: str, place: _Place) -> object:
    try:
        return parse_json(text)
    except ValueError as error:
        raise place.error(f"is not valid JSON: {error}") from error


def _read_message(cls: type[MessageT], value: object, place: _Place) -> MessageT:
    """Read a dict as a message, whose fields say which keys the dict may have."""
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
        if type(item) is field.plain_type:
            arguments[name] = item
        elif item is not None:
            arguments[name] = field.read(item, place.inner(f".{key}"))
    return cls(**arguments)


def _read_node(value: object, place: _Place) -> NodeManifest:
    """Read a node: errors inside it carry its id, and params may be an object."""
    if isinstance(value, _OBJECT):
        if isinstance(value.get("id"), str):
            place = _Place(place.path, value["id"])
        params = value.get("params")
        if params is None:
            value = {**value, "params": "{}"}
        elif not isinstance(params, str):
            text = to_json_text(params, str(place.inner(".params")))
            value = {**value, "params": text}
    return _read_message(NodeManifest, value, place)


def _read_list(
    read: Callable[[object, _Place], object], value: object, place: _Place
) -> list[object]:
    if not isinstance(value, (list, tuple)):
        raise place.error(f"is {reprlib.repr(value)}; it must be a list")
    return [read(item, place.inner(f"[{index}]")) for index, item in enumerate(value)]


def _read_enum(cls: type[EnumT], value: object, place: _Place) -> EnumT:
    """Read a member of an enum, its number, or its name with or without prefix."""
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
    # To Python, True is an int.
    if not isinstance(value, accepted) or isinstance(value, bool) != (cls is bool):
        raise place.error(f"is {reprlib.repr(value)}; it must be {cls.__name__}")
    return value


def _reader(hint: Any) -> Callable[[Any, _Place], object]:
    """The function that reads a value of the type that a field's type hint says."""
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
    """The fields of a message by each spelling that a dict may use for them."""
    hints = get_type_hints(cls)
    fields: dict[str, _Field] = {}
    for field in dataclasses.fields(cls):
        hint = hints[field.name]
        plain_type = hint if hint in (str, int, float, bool) else None
        reading = _Field(field.name, plain_type, _reader(hint))
        proto_name = field.name.rstrip("_")  # `from`, not `from_`
        aliases = _ALIASES.get((cls, field.name), ())
        for spelling in (proto_name, camel_case(proto_name), *aliases):
            fields[spelling] = reading
    return fields


def _suggestion(word: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches  # rarely needed, and slow to import

    close = get_close_matches(word, known, 1)
    return f"; did you mean {close[0]!r}?" if close else ""
