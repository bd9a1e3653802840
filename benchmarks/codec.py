"""Our codec beside stock betterproto and Google's upb, in one run.

    python -m benchmarks.codec [--quick]

Prints three Markdown tables: construct, encode and decode, for every message of
the contract at realistic sizes. Times are processor time, medians of rounds in
which the three libraries take turns: a busy machine disturbs little, and all alike.
Before anything is timed, all three must give bytes that mean the same to upb.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from time import process_time
from timeit import Timer
from types import SimpleNamespace
from typing import Any

# As a program it finds `benchmarks` and `tests` beside itself.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import remotemedia.v1
from benchmarks import stock
from benchmarks.samples import MESSAGES, Make
from tests import oracle

OURS, STOCK, UPB = "ours", "stock", "upb"
OPERATIONS = ("construct", "encode", "decode")
ROUND_SECONDS = 0.004


def upb() -> SimpleNamespace:
    """Make Google's classes look like a module of betterproto's."""
    google = oracle.load()
    names: dict[str, Any] = {}
    for file in google.files.file:
        for message in file.message_type:
            names[message.name] = google.message(f"{file.package}.{message.name}")
            for enum in message.enum_type:
                names[message.name + enum.name] = members(enum)
        for enum in file.enum_type:
            names[enum.name] = members(enum)
    connection = names["Connection"]
    # `from` is a keyword: only this way around can it be given by name.
    names["Connection"] = lambda from_, to: connection(**{"from": from_, "to": to})
    return SimpleNamespace(**names)


def members(enum: Any) -> SimpleNamespace:
    """Name an enum's numbers as the proto does, and also less the enum's own name."""
    words = "".join(f"_{c}" if c.isupper() else c for c in enum.name)
    prefix = f"{words[1:].upper()}_"
    numbers = {value.name: value.number for value in enum.value}
    short = {name.removeprefix(prefix): number for name, number in numbers.items()}
    return SimpleNamespace(**(numbers | short))


def actions(make: Make, library: Any) -> dict[str, Callable[[], Any]]:
    """Return what is timed of one message in one library."""
    message = make(library)
    data = message.SerializeToString()
    return {
        "construct": lambda: make(library),
        "encode": message.SerializeToString,
        "decode": lambda: type(message).FromString(data),
    }


def measure(timers: dict[str, Timer], rounds: int) -> dict[str, float]:
    """Return the median time of one call in microseconds, by library."""
    loops = {}
    for name, timer in timers.items():
        timer.timeit(3)
        count = 1
        while (spent := timer.timeit(count)) < ROUND_SECONDS / 4:
            count *= 4
        loops[name] = max(1, round(count * ROUND_SECONDS / spent))
    times: dict[str, list[float]] = {name: [] for name in timers}
    for _ in range(rounds):
        for name, timer in timers.items():
            times[name].append(timer.timeit(loops[name]) / loops[name])
    return {name: statistics.median(spent) * 1e6 for name, spent in times.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="3 rounds instead of 15")
    rounds = 3 if parser.parse_args().quick else 15
    libraries = {OURS: remotemedia.v1, STOCK: stock.load(), UPB: upb()}
    print(
        f"Python {platform.python_version()}, betterproto {version('betterproto')}, "
        f"protobuf {version('protobuf')}; medians of {rounds} rounds, "
        f"microseconds a call\n"
    )
    rows: dict[str, list[str]] = {operation: [] for operation in OPERATIONS}
    for name, make in MESSAGES.items():
        google = make(libraries[UPB])
        encoded = google.SerializeToString()
        for key, library in libraries.items():
            if type(google).FromString(make(library).SerializeToString()) != google:
                sys.exit(f"{name}: {key} encodes it differently")
        timed = {key: actions(make, library) for key, library in libraries.items()}
        for operation in OPERATIONS:
            spent = measure(
                {
                    key: Timer(action[operation], timer=process_time)
                    for key, action in timed.items()
                },
                rounds,
            )
            ours, before, best = spent[OURS], spent[STOCK], spent[UPB]
            rows[operation].append(
                f"| {name} | {len(encoded):,} "
                f"| {ours:,.2f} | {before:,.2f} | {best:,.2f} "
                f"| {before / ours:,.1f} | {ours / best:,.1f} |"
            )
    for operation in OPERATIONS:
        print(f"### {operation.capitalize()}\n")
        print("| message | bytes | ours | stock | upb | stock / ours | ours / upb |")
        print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
        print("\n".join(rows[operation]) + "\n")


if __name__ == "__main__":
    main()
