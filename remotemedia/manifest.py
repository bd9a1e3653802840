"""Turns what a user writes as a manifest into a checked ``PipelineManifest``.

A user may write a manifest as a dict, as JSON text, as a JSON or YAML file, or as the
message itself. The rules that a manifest must obey are the contract's; the embedded
service checks them with the same code.

The keys of a dict are the names of the message's fields, in snake_case or in the
spelling of protobuf's JSON (``node_type`` or ``nodeType``). Three fields accept more
than that: ``params`` may be an object instead of JSON text, a connection may use
``from_node`` and ``to_node``, and an enum may be a member, its number or its name. The
version and the pipeline's name may be left out; a message must state both.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import reprlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    NamedTuple,
    NoReturn,
    TypeAlias,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
    overload,
)

import betterproto
from betterproto.casing import camel_case, snake_case

from remotemedia.errors import NODE_ID, RemoteMediaError
from remotemedia.v1 import Connection, ErrorType, NodeManifest, PipelineManifest

if TYPE_CHECKING:
    from remotemedia import data_v1

AnyManifest: TypeAlias = "PipelineManifest | data_v1.PipelineManifest"
"""The message of either contract."""

ManifestSource: TypeAlias = (
    "AnyManifest | Mapping[str, object] | str | os.PathLike[str]"
)
"""A description of a pipeline: the message, a dict, JSON text, or the path of a file.

A path is a ``pathlib.Path``, or any other ``os.PathLike``, to a JSON or YAML file.
"""

VERSION = "v1"
"""The version of the contract, which every manifest states."""

_UNNAMED = "unnamed"

MessageT = TypeVar("MessageT", bound=betterproto.Message)
ManifestT = TypeVar("ManifestT", "PipelineManifest", "data_v1.PipelineManifest")
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
_ALIASES: dict[tuple[str, str], tuple[str, ...]] = {
    ("Connection", "from_"): ("from_", "from_node", "fromNode"),
    ("Connection", "to"): ("to_node", "toNode"),
}

# Words that other pipeline formats use for our keys, where the spelling gives no hint.
_SYNONYMS: dict[str, dict[str, str]] = {
    "PipelineManifest": {
        "name": "metadata",
        "description": "metadata",
        "edges": "connections",
        "links": "connections",
        "steps": "nodes",
    },
    "NodeManifest": {
        "name": "id",
        "node_id": "id",
        "kind": "node_type",
        "type": "node_type",
        "args": "params",
        "config": "params",
        "options": "params",
        "streaming": "is_streaming",
    },
    "Connection": {
        **dict.fromkeys(("source", "src", "input", "start", "from_id"), "from"),
        **dict.fromkeys(("target", "destination", "dst", "dest", "to_id"), "to"),
        **dict.fromkeys(("output", "end", "sink"), "to"),
    },
}

_FILE_SUFFIXES = (".json", ".yaml", ".yml")


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


@overload
def to_manifest(source: ManifestSource) -> PipelineManifest: ...


@overload
def to_manifest(source: ManifestSource, cls: type[ManifestT]) -> ManifestT: ...


def to_manifest(source: ManifestSource, cls: type[Any] = PipelineManifest) -> Any:
    """Turn a dict, JSON text, a file or a message into a checked manifest.

    A message is checked and returned as it is. In the other forms None or ``null`` is
    the same as leaving out the key, a missing version is ``v1``, a missing name is
    ``unnamed``, and a node without params gets ``{}``.

    Args:
        source: the manifest. A file is given as a ``pathlib.Path``, ends in ``.json``,
            ``.yaml`` or ``.yml``, and is encoded in UTF-8; YAML needs the extra
            ``remotemedia[yaml]``.
        cls: the message of the contract that is spoken. A message of the other
            contract is turned into it.

    Raises:
        RemoteMediaError: the manifest breaks a rule (see :func:`check`), has an
            unknown key or a value of the wrong type, or its file cannot be read.
            `error_type` is VALIDATION, the message says where the error is, and
            `failing_node_id` is the id of the node that it is in, if any.
        TypeError: `source` is none of these, or `params` contains an object that JSON
            cannot represent.
        ValueError: `params` contains a number that is infinite or NaN, or the name of
            the file has another ending.
        ImportError: the file is YAML, and PyYAML is not installed.
    """
    manifest: Any
    if isinstance(source, cls):
        manifest = source
    elif isinstance(source, (str, *_OBJECT)):
        data = _parse_text(source) if isinstance(source, str) else source
        manifest = _read_message(cls, data, _Place("manifest"))
    elif isinstance(source, os.PathLike):
        return _read_file(Path(source), cls)
    elif getattr(source, "__proto_name__", None) == cls.__proto_name__:
        # What both contracts know has the same numbers in both.
        manifest = cls.FromString(bytes(source))
    else:
        raise TypeError(
            "a manifest is a dict, JSON text (str) or a PipelineManifest, or the "
            f"pathlib.Path of a file, not {type(source).__name__}"
        )
    check(manifest)
    return manifest


def _parse_text(text: str) -> object:
    """Parse JSON text, and recognise the path of a file, which is a common mistake."""
    try:
        return _parse_json(text, _Place("manifest"))
    except RemoteMediaError as error:
        is_json = text.lstrip().startswith(("{", "["))
        if not text or (is_json and not text.endswith(_FILE_SUFFIXES)):
            raise
        raise RemoteMediaError(
            f"{error}. To read a file, pass pathlib.Path({reprlib.repr(text)})",
            error_type=ErrorType.VALIDATION,
        ) from error


def _read_file(path: Path, cls: type[Any]) -> Any:
    """Read a manifest from a file, whose path begins the text of every error."""
    suffix = path.suffix.lower()
    if suffix not in _FILE_SUFFIXES:
        raise ValueError(
            f"{path}: the name of a manifest file ends in {', '.join(_FILE_SUFFIXES)}"
        )
    try:
        place = _Place("manifest")
        text = path.read_text(encoding="utf-8")
        parse = _parse_json if suffix == ".json" else _parse_yaml
        manifest = _read_message(cls, parse(text, place), place)
        check(manifest)
    except OSError as error:
        problem = f"the manifest cannot be read: {error.strerror or error}"
        raise RemoteMediaError(
            f"{path}: {problem}", error_type=ErrorType.VALIDATION
        ) from error
    except UnicodeDecodeError as error:
        raise RemoteMediaError(
            f"{path}: the manifest is not UTF-8 text: {error}",
            error_type=ErrorType.VALIDATION,
        ) from error
    except RemoteMediaError as error:
        raise RemoteMediaError(
            f"{path}: {error}",
            error_type=error.error_type,
            failing_node_id=error.failing_node_id,
        ) from error
    except (TypeError, ValueError) as error:
        raise type(error)(f"{path}: {error}") from error
    return manifest


def _parse_yaml(text: str, place: _Place) -> object:
    try:
        import yaml  # an optional extra, and slow to import
    except ImportError as error:
        raise ImportError(
            "a manifest in YAML needs the PyYAML package: pip install "
            "'remotemedia[yaml]'"
        ) from error

    class Loader(yaml.SafeLoader):
        """Loads plain data only, and leaves dates as text, which JSON has no type for.

        `created_at` is text in the contract.
        """

        yaml_implicit_resolvers = {  # noqa: RUF012 - the base class has it like this
            first: [(tag, form) for tag, form in resolvers if "timestamp" not in tag]
            for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

    try:
        return yaml.load(text, Loader)  # noqa: S506 - a subclass of SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f": line {mark.line + 1} column {mark.column + 1}" if mark else ""
        problem = f"{error.problem or error.context}{where}"
        raise place.error(f"is not valid YAML: {problem}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise place.error(f"is not valid YAML: {error}") from error


def check(manifest: AnyManifest) -> None:
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
    nodes: Sequence[NodeManifest | data_v1.NodeManifest] = manifest.nodes
    for index, node in enumerate(nodes):
        _check_node(node, index, seen)
        seen[node.id] = index
    has_backward_connection = False
    connections: Sequence[Connection | data_v1.Connection] = manifest.connections
    for index, connection in enumerate(connections):
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
        _sorted_ids(nodes, connections)


def _check_node(
    node: NodeManifest | data_v1.NodeManifest, index: int, seen: Mapping[str, int]
) -> None:
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
    ids = _sorted_ids(manifest.nodes, manifest.connections)
    return [nodes[node_id] for node_id in ids]


def _sorted_ids(
    nodes: Sequence[NodeManifest | data_v1.NodeManifest],
    connections: Sequence[Connection | data_v1.Connection],
) -> list[str]:
    """The ids in topological order.

    Raises:
        RemoteMediaError: VALIDATION, if the connections form a cycle.
    """
    sorter: TopologicalSorter[str] = TopologicalSorter({node.id: () for node in nodes})
    for connection in connections:
        sorter.add(connection.to, connection.from_)
    try:
        return list(sorter.static_order())
    except CycleError as error:
        cycle = " → ".join(error.args[1])
        raise _Place("manifest.connections").error(
            f"form a cycle: {cycle}. Data flows one way through a pipeline"
        ) from None


def to_json_text(value: object, where: str) -> str:
    """Encode a value as JSON text, for the contract's fields that contain JSON.

    Args:
        value: a str is taken as JSON text, checked and returned as it is; any other
            value is encoded.
        where: the name of the value for errors, such as ``"data_inputs['gain']"``.

    Raises:
        TypeError: JSON cannot represent a value of this type, such as bytes.
        ValueError: a str is not JSON text, a number is infinite or NaN, or the value
            contains itself or is nested too deeply.
    """
    if isinstance(value, str):
        try:
            parse_json(value)
        except ValueError as error:
            raise ValueError(
                f"{where}: a str is sent as JSON text, and this is none ({error}); "
                f"json.dumps of it is the text itself: {json.dumps(value)!r:.80}"
            ) from None
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
    arguments = _defaults(cls)
    given: dict[str, object] = {}
    for key, item in value.items():
        field = fields.get(key)
        if field is None:
            hint = _suggestion(str(key), fields, cls)
            raise place.error(f"has an unknown key {key!r}{hint}")
        name = field.name
        if name in given:
            raise place.error(f"has {given[name]!r} and {key!r}, which are the same")
        given[name] = key
        if type(item) is field.plain_type:
            arguments[name] = item
        elif item is not None:
            arguments[name] = field.read(item, place.inner(f".{key}"))
    return cls(**arguments)


def _read_node(cls: type[MessageT], value: object, place: _Place) -> MessageT:
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
    return _read_message(cls, value, place)


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
    if hint.__name__ == "NodeManifest":
        return partial(_read_node, hint)
    if issubclass(hint, betterproto.Message):
        return partial(_read_message, hint)
    if issubclass(hint, betterproto.Enum):
        return partial(_read_enum, hint)
    return partial(_read_plain, hint)


def _defaults(cls: type) -> dict[str, Any]:
    """What the fields of a message have where a dict leaves them out."""
    if cls.__name__ == "PipelineManifest":
        metadata = _hints(cls)["metadata"](name=_UNNAMED)
        return {"version": VERSION, "metadata": metadata}
    return {"name": _UNNAMED} if cls.__name__ == "ManifestMetadata" else {}


@cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


@cache
def _fields(cls: type) -> dict[str, _Field]:
    """The fields of a message by each spelling that a dict may use for them."""
    hints = _hints(cls)
    fields: dict[str, _Field] = {}
    for field in dataclasses.fields(cls):
        hint = hints[field.name]
        plain_type = hint if hint in (str, int, float, bool) else None
        reading = _Field(field.name, plain_type, _reader(hint))
        proto_name = field.name.rstrip("_")  # `from`, not `from_`
        aliases = _ALIASES.get((cls.__name__, field.name), ())
        for spelling in (proto_name, camel_case(proto_name), *aliases):
            fields[spelling] = reading
    return fields


def _suggestion(word: str, known: Mapping[str, object], cls: type | None = None) -> str:
    from difflib import get_close_matches  # rarely needed, and slow to import

    synonym = _SYNONYMS.get(cls.__name__ if cls else "", {}).get(word.lower())
    close = [synonym] if synonym else get_close_matches(word, known, 1)
    return f"; did you mean {close[0]!r}?" if close else ""
