"""Fuzzes the transport: a hostile peer sends random sequences of frames.

    python -m fuzz.fuzz_frames --seconds 60 [--seed N]

Each sequence stands for a seed. The first that breaks what ``tests/faults/ordeal.py``
promises ends the run with an exit status other than 0, and its seed is printed;
``--seed N --seconds 0`` runs it alone.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import time

from tests.faults.ordeal import ordeal


def main() -> None:
    """Fuzz until the time is over, or until a fault is found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32))
    options = parser.parse_args()
    ends_s = time.monotonic() + options.seconds
    count = 0
    while count == 0 or time.monotonic() < ends_s:
        seed = options.seed + count
        try:
            asyncio.run(ordeal(seed))
        except BaseException:
            print(f"the sequence of seed {seed} broke a promise")
            raise
        count += 1
    print(f"{count} sequences from seed {options.seed} on")


if __name__ == "__main__":
    main()
