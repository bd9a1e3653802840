"""Protos with every name that could mean something else, for every sort of thing.

The names are those of Python, of the base classes, and of what generated modules import
and use, and some that are not like names. protoc accepts them all.
"""

from __future__ import annotations

import builtins
import importlib
import keyword
import re
from pathlib import Path

from google.protobuf.message import Message as GoogleMessage

from remotemedia import protobuf, v1
from remotemedia.grpc import stub

ODD = {"_", "_1", "__1", "_1a", "_A", "a_", "A_", "Foo", "FooTags", "FOO", "self"}
ODD |= {"mro", "name", "value", "timeout", "deadline", "metadata", "channel", "request"}
ODD |= {"responses", "stream", "idle_timeout", "max_send_bytes", "max_receive_bytes"}
ODD |= {"Deadline", "datetime", "typing_extensions", "abc", "dt", "deprecated", "entry"}
ODD |= {"tag", "kind", "pos", "stop", "size", "part", "item", "key", "values", "child"}


def _used() -> set[str]:
    """Return the names that a generated module and its codec use, besides messages."""
    modules = map(
        importlib.import_module, ["remotemedia.v1.execution", "remotemedia.v1._codec"]
    )
    names = {name for module in modules for name in vars(module)} - {*v1.__all__}
    return {name for name in names if not name.startswith("_")}


def _names() -> list[str]:
    names = {*keyword.kwlist, *dir(type), *ODD, *protobuf.__all__, *_used()}
    names |= {*dir(protobuf.Message), *dir(stub.ServiceStub), *dir(protobuf.Enum)}
    # Of what is built in, the exceptions are not used by generated code.
    names |= {name for name in dir(builtins) if name.islower()}
    valid = {name for name in names if re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII)}
    # protoc itself refuses fields or enum values that differ in case or underscores.
    distinct = {re.sub("_", "", name).lower() or name: name for name in sorted(valid)}
    return sorted(distinct.values())


NAMES = _names()

# A field that is called so would break Google's message, and not ours.
FIELDS = [name for name in NAMES if name not in dir(GoogleMessage)]

# Google's Python accepts no type called like the entry of a map `_1`.
MAPS = [name for name in FIELDS if not name.startswith("_")][::4]

KINDS = ["string", "bytes", "int32", "bool", "float", "repeated string", "Sub", "Kind"]


NUMBERS = ["double", "float", "int32", "int64", "uint32", "uint64", "sint32", "sint64"]
NUMBERS += ["fixed32", "fixed64", "sfixed32", "sfixed64", "bool", "Level"]
TYPES = [*NUMBERS, "string", "bytes", "Forward"]
TYPES += [
    f"google.protobuf.{name}"
    for name in ("Timestamp", "Duration", "Int32Value", "BoolValue", "Struct", "Any")
]
KEYS = [*NUMBERS[2:-1], "string"]


def _all_kinds(name: str, types: list[str]) -> list[str]:
    """Return a message with fields of all types in all ways, in the given order."""
    fields = [
        way.format(type=found)
        for found in types
        for way in (
            "{type}",
            "optional {type}",
            "repeated {type}",
            "map<string, {type}>",
        )
    ]
    fields += [f"map<{key}, string>" for key in types if key in KEYS]
    lines = [f"{field} f{number} = {number};" for number, field in enumerate(fields, 1)]
    lines += [
        f"repeated {found} u{number} = {number} [packed = false];"
        for number, found in enumerate(types, 300)
        if found in NUMBERS
    ]
    choices = [
        f"{found} o{number} = {number};" for number, found in enumerate(types, 400)
    ]
    return [f"message {name} {{", *lines, "oneof choice {", *choices, "}", "}"]


def _messages(name: str, fields: list[str]) -> list[str]:
    """Return messages with the fields, numbered, a few fields in each."""
    return [
        f"message {name}{start} {{ "
        + " ".join(
            # A oneof has its numbers already.
            field if field.endswith("}") else f"{field} = {number};"
            for number, field in enumerate(fields[start : start + 20], 1)
        )
        + " }"
        for start in range(0, len(fields), 20)
    ]


def write(folder: Path) -> None:
    """Write the protos into a folder."""
    texts = {
        "messages": [
            f"message {name} {{ int32 a = 1; .unusual.messages.{name} b = 2; }}"
            for name in NAMES
        ],
        "enums": [
            *(f"enum {name} {{ {name}_zero_of_it = 0; }}" for name in NAMES),
            *_messages(
                "Uses", [f".unusual.enums.{name} f{n}" for n, name in enumerate(NAMES)]
            ),
            "message Holds { enum Values { zero_of_all = 0;",
            *(
                f"{name} = {number};"
                for number, name in enumerate(NAMES, 1)
                if name not in ("option", "reserved")
            ),
            "} repeated Values held_here = 1; }",
        ],
        "fields": [
            "message Sub { string s = 1; }",
            "enum Kind { KIND_ZERO = 0; }",
            *_messages(
                "Fields",
                [f"{KINDS[n % len(KINDS)]} {name}" for n, name in enumerate(FIELDS)],
            ),
            *_messages("Maps", [f"map<string, Sub> {name}" for name in MAPS]),
            *_messages(
                "Oneofs",
                [
                    f"oneof {name} {{ string f{n} = {n}; bytes g{n} = {n + 1000}; }}"
                    for n, name in enumerate(NAMES[::8], 1)
                ],
            ),
        ],
        "services": [
            "message Q {} message Deadline {} message Self {} message Timeout {}",
            "service S {",
            *(
                f"rpc {name}({'stream ' * (n % 2)}Q) returns "
                f"({'stream ' * (n // 2 % 2)}Timeout);"
                for n, name in enumerate(NAMES)
            ),
            "}",
            *(
                f"service {name} {{ rpc Get(Deadline) returns (Self); }}"
                for name in NAMES
            ),
        ],
    }
    texts["pairs"] = [
        *(
            f'import "google/protobuf/{name}.proto";'
            for name in ("any", "duration", "struct", "timestamp", "wrappers")
        ),
        *_all_kinds("Forward", TYPES),
        *_all_kinds("Backward", TYPES[::-1]),
        "enum Level { LEVEL_LOW = 0; }",
    ]
    # A folder, and a package, for each name that could hide something.
    parts = [*NAMES[::20], "__init__", "__main__", "_codec", "class", "json", "types"]
    for part in parts:
        texts[f"inside/{part}"] = ["message Inside { string s = 1; }"]
    for name, lines in texts.items():
        path = folder / f"{name}.proto"
        path.parent.mkdir(parents=True, exist_ok=True)
        package = f"unusual.{name.replace('/', '.')}"
        if name == "services":
            # A message of this package would be found in place of one of the names.
            lines = [
                re.sub(r"\((stream )?(?=\w)", r"(\1.unusual.services.", line)
                for line in lines
            ]
        path.write_text(
            "\n".join(['syntax = "proto3";', f"package {package};", *lines])
        )
