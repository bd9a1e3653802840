"""The registry of generated message classes, by their full names in the proto.

A `google.protobuf.Any` names the type of the message in it. Importing a generated
package registers its messages, so that they are found by that name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from remotemedia.protobuf.embedded import Codec

_classes: dict[str, type[Any]] = {}


def register(full_name: str, cls: type[Codec]) -> None:
    """Register a message class.

    Of several classes with one name, as of a proto package that was generated twice,
    the first counts: importing another package must not change what a program finds.
    A module that is reloaded replaces its own classes.
    """
    known = _classes.get(full_name)
    if known is None or known.__module__ == cls.__module__:
        _classes[full_name] = cls


def find(full_name: str) -> type[Any]:
    """Return the message class of a name such as `remotemedia.v1.AudioBuffer`.

    Raises:
        LookupError: No generated package that was imported has it.
    """
    try:
        return _classes[full_name]
    except KeyError:
        raise LookupError(
            f"no message {full_name!r} is known; import the package that was generated "
            "from its proto"
        ) from None
