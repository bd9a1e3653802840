"""The protobuf runtime: what generated messages and enums are built on.

The generator (`remotemedia-codegen`) writes message classes that derive from `Message`,
enums that derive from `Enum`, and beside them a codec, which reads and writes the wire
format in straight-line code. All that generated code has in common is here, and so is
everything that users may know of protobuf: the exceptions, JSON, unknown fields and
well-known types. The messages are betterproto's dataclasses to their users; encoding,
decoding, JSON, copies and equality are this package's own.

The package knows protobuf and nothing else. It must not import any other part of
`remotemedia`, and it must not know any message of the contract. Its modules form
layers, and each imports only those before it:

- `wire`: scalar values as bytes, and the exceptions,
- `unknown`: the fields that a message has no name for,
- `embedded`: messages inside messages,
- `counting`: how many fields a message may have,
- `enum`: the base class of enums,
- `registry`: message classes by their names in the proto,
- `json_values`, `json_names`: scalar values and names of fields in JSON,
- `well_known`: timestamps, durations and wrappers as Python values,
- `json_types`: other well-known types, which JSON has a form of its own for,
- `json_writer`, `json_reader`: messages to JSON, and back,
- `json_format`: the methods of messages for JSON,
- `message`: the base class of messages,
- `wire_types`: a check that a server makes of what it has decoded.

`wkt` is generated: the messages of `google/protobuf/*.proto`. It is built on this
package as any generated code is, so importing this package does not import it.
"""

from remotemedia.protobuf.enum import Enum
from remotemedia.protobuf.message import COMPUTED, Message, attach_codec, field
from remotemedia.protobuf.well_known import EPOCH
from remotemedia.protobuf.wire import (
    BytesLike,
    DecodeError,
    EncodeError,
    EncodeTypeError,
    Parts,
    as_bytes,
    joined,
)
from remotemedia.protobuf.wire_types import check_wire_types

__all__ = [
    "COMPUTED",
    "EPOCH",
    "BytesLike",
    "DecodeError",
    "EncodeError",
    "EncodeTypeError",
    "Enum",
    "Message",
    "Parts",
    "as_bytes",
    "attach_codec",
    "check_wire_types",
    "field",
    "joined",
]
