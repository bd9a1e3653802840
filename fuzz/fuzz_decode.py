"""Fuzzes the decoder with atheris, through the round trip that the codec tests share.

    python -m fuzz.fuzz_decode -max_total_time=60 [CORPUS_DIR]

The first byte of an input selects a message type of a contract or of the tests' own
protos, and the rest is decoded. The seeds are one valid message of each type of the
audio contract. Options are those of libFuzzer. A fault ends the run with an exit status
other than 0, and is printed with the bytes that cause it.

This needs the package atheris, which exists for Linux only.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import atheris

# Instrumented modules tell libFuzzer which branches an input reaches.
with atheris.instrument_imports(include=["remotemedia"]):
    # Imported to be instrumented.
    import remotemedia.data_v1
    import remotemedia.v1  # noqa: F401

from benchmarks.codec import upb
from benchmarks.samples import MESSAGES
from tests.codec.contract import DATA_PAIRS, PAIRS
from tests.codec.generated import PROTOS, generate
from tests.codec.roundtrip import round_trip

if TYPE_CHECKING:
    from tests.codec.values import Pair


def write_seeds(folder: Path) -> None:
    """Write a message of each type of the audio contract, without long samples."""
    google = upb()
    names = list(PAIRS)
    for number, make in enumerate(MESSAGES.values()):
        message = make(google)
        encoded = message.SerializeToString()
        if len(encoded) < 1000:
            index = names.index(message.DESCRIPTOR.name)
            (folder / f"{number}").write_bytes(bytes([index]) + encoded)


def main() -> None:
    """Fuzz until the time is over, or until a fault is found."""
    with TemporaryDirectory() as folder:
        generated, seeds = Path(folder) / "generated", Path(folder) / "seeds"
        generated.mkdir()
        seeds.mkdir()
        write_seeds(seeds)
        with atheris.instrument_imports(include=["all_types", "elsewhere"]):
            all_types = generate(PROTOS, generated, "all_types", "elsewhere")
        # Python values, such as a datetime, cannot keep unknown fields.
        del all_types["all_types.WellKnown"]
        pairs: list[Pair] = [
            *PAIRS.values(),
            *DATA_PAIRS.values(),
            *all_types.values(),
        ]

        def fuzz(data: bytes) -> None:
            if data:
                round_trip(pairs[data[0] % len(pairs)], data[1:])

        # A fault is printed with its bytes, so libFuzzer need not leave a file.
        program, *options = sys.argv
        options = [f"-artifact_prefix={folder}/", *options]
        atheris.Setup([program, *options, str(seeds)], fuzz)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
