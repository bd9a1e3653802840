"""Messages as dicts and JSON, and back: the ProtoJSON format.

The rules are those of https://protobuf.dev/programming-guides/json, and the official
conformance suite holds them. The methods and their parameters are betterproto's, whose
own conversion is not used: it fails on enum numbers without a name, writes members of a
oneof that are not set, and does not convert the values of maps.

What is written is protobuf's. What is read is that, and also what betterproto and
earlier versions of this package wrote: keys in any casing, and enum members by their
names in Python.

`json_writer` and `json_reader` do the work; this module is the methods of messages.
"""

from __future__ import annotations

import json
import reprlib
from types import MethodType
from typing import TYPE_CHECKING, Any

from betterproto.casing import camel_case

from remotemedia.protobuf import wire
from remotemedia.protobuf.json_reader import reader
from remotemedia.protobuf.json_writer import writer
from remotemedia.protobuf.wire import DecodeError

if TYPE_CHECKING:
    # A message has the methods of its class, too, and that is all that type checkers
    # need to know.
    from builtins import classmethod as hybrid
    from collections.abc import Mapping

    import betterproto
    from typing_extensions import Self

    from remotemedia.protobuf.json_writer import Casing
else:

    class hybrid:  # noqa: N801 - used like `classmethod`
        """A method of messages and of their class, which gets either as `cls`."""

        def __init__(self, function):
            self.__func__ = function
            self.__doc__ = function.__doc__

        def __get__(self, instance, owner):
            return MethodType(self.__func__, owner if instance is None else instance)


class JsonMethods:
    """The methods of messages that convert them to dicts and JSON, and back."""

    def to_dict(
        self,
        casing: betterproto.Casing | Casing = camel_case,
        include_default_values: bool = False,
    ) -> dict[str, Any]:
        """Return the fields that are set, converted to JSON's types.

        Args:
            casing: Converts field names to keys. `betterproto.Casing.CAMEL` gives the
                names of JSON, and `Casing.SNAKE` those of the proto, which every
                implementation of protobuf reads. Any other function is called with the
                name in the proto.
            include_default_values: Whether to include fields that are not set, except
                messages and members of a oneof.

        Raises:
            EncodeError: A field has a value that JSON cannot express.
        """
        found: dict[str, Any] = writer(casing, include_default_values).message(self)
        return found

    def to_json(
        self,
        indent: int | str | None = None,
        include_default_values: bool = False,
        casing: betterproto.Casing | Casing = camel_case,
    ) -> str:
        """Return the message as JSON text.

        Args:
            indent: As for `json.dumps`; without it, the text is one line.
            include_default_values: As for `to_dict`.
            casing: As for `to_dict`.

        Raises:
            EncodeError: A field has a value that JSON cannot express.
        """
        found = writer(casing, include_default_values).message(self)
        return json.dumps(found, indent=indent)

    def to_pydict(
        self,
        casing: betterproto.Casing | Casing = camel_case,
        include_default_values: bool = False,
    ) -> dict[str, Any]:
        """Return the fields that are set, with their Python values.

        Only messages are converted. The arguments are those of `to_dict`.

        Raises:
            EncodeError: A field has a value of another type than that of the field.
        """
        found: dict[str, Any] = writer(
            casing, include_default_values, keep_values=True
        ).message(self)
        return found

    @hybrid
    def from_dict(
        cls,  # noqa: N805
        value: Mapping[str, Any],
        *,
        ignore_unknown_fields: bool = False,
    ) -> Self:
        """Make a message of a dict of JSON's types; on a message, set the fields in it.

        Keys may be the names of fields in JSON, in the proto or in Python. `None`
        stands for a field that is not set. A field that the dict leaves out has its
        default, also one that the constructor would compute.

        Args:
            value: The dict.
            ignore_unknown_fields: Whether to ignore keys that are no field, and names
                that are no member of an enum.

        Raises:
            DecodeError: It is not valid for this message; the text names the field.
        """
        found: Self = _read(cls, value, ignore_unknown_fields)
        return found

    @hybrid
    def from_json(
        cls,  # noqa: N805
        value: str | bytes | bytearray,
        *,
        ignore_unknown_fields: bool = False,
    ) -> Self:
        """Make a message of JSON text; on a message, set the fields in the text.

        Args:
            value: The text, or its bytes.
            ignore_unknown_fields: As for `from_dict`.

        Raises:
            DecodeError: It is not JSON, an object in it has a key twice, or it is not
                valid for this message; the text names the field.
        """
        found: Self = _read(cls, _parsed(value), ignore_unknown_fields)
        return found

    def from_pydict(
        self, value: Mapping[str, Any], *, ignore_unknown_fields: bool = False
    ) -> Self:
        """Set the fields of a dict with Python values, as `to_pydict` returns it.

        Args:
            value: The dict.
            ignore_unknown_fields: Whether to ignore keys that are no field.

        Raises:
            DecodeError: A key is no field, or a message, list or map is something else.
        """
        found: Self = _read(self, value, ignore_unknown_fields, keep_values=True)
        return found


def _read(
    target: Any, value: object, ignore_unknown: bool, keep_values: bool = False
) -> Any:
    """Make a message of the class `target`, or set the fields of a message."""
    source = reader(ignore_unknown=ignore_unknown, keep_values=keep_values)
    if isinstance(target, type):
        return source.message(target, value, wire.MAX_DEPTH)
    values: wire.Values = {}
    source.fill(type(target), values, value, wire.MAX_DEPTH)
    target._serialized_on_wire = True
    for name, found in values.items():
        # Unlike an assignment, reading does not warn of deprecated fields.
        target._assign(name, found)
    return target


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise DecodeError(f"an object has the key {reprlib.repr(twice)} twice")
    return result


def _constant(name: str) -> Any:
    raise DecodeError(f"{name} is not JSON; write it as a string")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)


def _parsed(text: str | bytes | bytearray) -> Any:
    """Decode JSON text strictly: no key twice, no NaN, one kind of error."""
    if not isinstance(text, (str, bytes, bytearray)):
        raise TypeError(f"from_json takes str or bytes, not {type(text).__name__}")
    try:
        if not isinstance(text, str):
            text = text.decode(json.detect_encoding(text), "surrogatepass")
        return _DECODER.decode(text)
    except DecodeError:
        raise
    except RecursionError:
        raise DecodeError(wire.TOO_DEEP) from None
    except ValueError as error:
        raise DecodeError(f"the text is not JSON: {error}") from None
