"""The two sets of messages that services speak, each behind an adapter.

``contract`` says what an adapter offers, ``audio`` and ``data`` are the two. A new set
is a new module here, and a row in ``_VERSIONS``. The data contract's messages are
imported when a service is found to speak them, since many programs never need them.
"""

from __future__ import annotations

import re
from typing import Any, get_args

from remotemedia.contracts.audio import AudioContract
from remotemedia.contracts.contract import Contract, ContractName
from remotemedia.errors import RemoteMediaError
from remotemedia.v1 import ErrorType, VersionInfo

__all__ = ["Contract", "ContractName", "checked_name", "contract_named", "contract_of"]

# The contract of each version of the runtime that is known, by major and minor number.
_VERSIONS: dict[tuple[int, int], ContractName] = {(0, 2): "audio", (0, 4): "data"}
_MAJOR_MINOR = re.compile(r"v?(\d{1,9})\.(\d{1,9})(?!\d)")


def contract_of(version: VersionInfo) -> Contract[Any]:
    """The contract that a service speaks, by the version that it states.

    One that states no version at all is taken to speak the audio contract, the older.

    Raises:
        RemoteMediaError: VERSION_MISMATCH, if the version is not known.
    """
    stated = version.runtime_version
    if not stated:
        return contract_named("audio")
    match = _MAJOR_MINOR.match(stated)
    name = _VERSIONS.get((int(match[1]), int(match[2]))) if match else None
    if name is None:
        known = " and ".join(
            f"{major}.{minor} ({name!r})" for (major, minor), name in _VERSIONS.items()
        )
        raise RemoteMediaError(
            f"the service states runtime version {stated!r:.80}, and it is not known "
            f"which messages that speaks; known are {known}. Say it yourself: "
            "RemoteMediaClient(…, contract='data'), or 'audio' for a service of "
            "October 2025",
            error_type=ErrorType.VERSION_MISMATCH,
        )
    return contract_named(name)


def contract_named(name: ContractName) -> Contract[Any]:
    """The adapter of a contract."""
    if name == "audio":
        return _AUDIO
    from remotemedia.contracts.data import DataContract  # large, and rarely needed

    return DataContract()


def checked_name(name: object) -> ContractName | None:
    """Check what a user gave as ``contract``.

    Raises:
        ValueError: it is neither a contract nor None.
    """
    names: tuple[ContractName, ...] = get_args(ContractName)
    for known in names:
        if name == known:
            return known
    if name is None:
        return None
    raise ValueError(f"contract is {name!r:.80}; it must be 'audio', 'data' or None")


_AUDIO = AudioContract()
