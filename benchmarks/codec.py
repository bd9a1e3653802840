"""Compare our codec with stock betterproto's and with upb, Google's parser in C.

    python -m benchmarks.codec [--quick]

The program prints Markdown tables: constructing, encoding and decoding every message of
the contract at a realistic size, and decoding inputs that are expensive to decode.

Each time is processor time, and the median of several rounds in which the libraries
take turns, so that a busy machine disturbs all of them alike. Each library has a
process of its own, because the state of the heap that one leaves changes what large
messages cost the next. Before anything is timed, the bytes that each library encodes
must be equal to upb once decoded.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import cache, lru_cache, partial
from importlib.metadata import version
from multiprocessing import get_context
from time import process_time
from timeit import Timer
from types import SimpleNamespace
from typing import Any, TypeAlias

from google.protobuf import json_format

import remotemedia.v1
from benchmarks import stock
from benchmarks.samples import MESSAGES
from conformance import oracle
from conformance.attacks import ATTACKS

Processes: TypeAlias = "dict[str, ProcessPoolExecutor]"

OURS, STOCK, UPB = "ours", "stock", "upb"
OPERATIONS = ("construct", "encode", "decode")
TO_JSON, FROM_JSON = "to JSON", "from JSON"
ROUND_SECONDS = 0.004
HOSTILE = "hostile"
HOSTILE_BYTES = 480_000
# timeit disables the garbage collector, whose work on many objects counts here.
GC = "import gc; gc.enable()"


def upb() -> SimpleNamespace:
    """Return Google's classes under the names that betterproto's module has."""
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
    # `from` is a keyword of Python, so it cannot be a keyword argument.
    names["Connection"] = lambda from_, to: connection(**{"from": from_, "to": to})
    return SimpleNamespace(**names)


def members(enum: Any) -> SimpleNamespace:
    """Return an enum's numbers by their names, with and without the enum's prefix."""
    words = "".join(f"_{c}" if c.isupper() else c for c in enum.name)
    prefix = f"{words[1:].upper()}_"
    numbers = {value.name: value.number for value in enum.value}
    short = {name.removeprefix(prefix): number for name, number in numbers.items()}
    return SimpleNamespace(**(numbers | short))


# -- run in the process of each library


@cache
def library(name: str) -> Any:
    """Return the module of a library."""
    return {OURS: lambda: remotemedia.v1, STOCK: stock.load, UPB: upb}[name]()


def encoded(name: str, title: str) -> bytes:
    """Encode the sample message of this title."""
    data: bytes = MESSAGES[title](library(name)).SerializeToString()
    return data


def same(title: str, data: Sequence[bytes]) -> bool:
    """Tell whether upb decodes all of these bytes to equal messages."""
    kind = type(MESSAGES[title](library(UPB)))
    return all(kind.FromString(one) == kind.FromString(data[0]) for one in data)


@lru_cache(maxsize=1)
def prepared(name: str, operation: str, title: str) -> tuple[Timer, int]:
    """Return a timer for an operation, and how often to repeat it in a round."""
    timer = Timer(action(name, operation, title), GC, process_time)
    timer.timeit(3)
    count = 1
    while (spent := timer.timeit(count)) < ROUND_SECONDS / 4:
        count *= 4
    return timer, max(1, round(count * ROUND_SECONDS / spent))


def action(name: str, operation: str, title: str) -> Callable[[], Any]:
    """Return the function that is timed."""
    if operation == HOSTILE:
        message, attack = ATTACKS[title]
        kind = getattr(library(name), message.__name__)
        return partial(kind.FromString, attack(HOSTILE_BYTES))
    make = partial(MESSAGES[title], library(name))
    message = make()
    data = message.SerializeToString()
    actions: dict[str, Callable[[], Any]] = {
        "construct": make,
        "encode": message.SerializeToString,
        "decode": partial(type(message).FromString, data),
        **json_actions(name, message),
    }
    return actions[operation]


def json_actions(name: str, message: Any) -> dict[str, Callable[[], Any]]:
    """Return the functions that write a message as JSON, and read it again."""
    kind = type(message)
    if name == UPB:
        text = json_format.MessageToJson(message, indent=None)
        return {
            TO_JSON: partial(json_format.MessageToJson, message, indent=None),
            FROM_JSON: lambda: json_format.Parse(text, kind()),
        }
    text = message.to_json()
    return {
        TO_JSON: message.to_json,
        FROM_JSON: lambda: kind().from_json(text),
    }


def spent_us(name: str, operation: str, title: str) -> float:
    """Run one round of an operation; return microseconds for one repetition."""
    timer, count = prepared(name, operation, title)
    return timer.timeit(count) / count * 1e6


# -- run in the main process


def measure(
    processes: Processes, operation: str, title: str, rounds: int
) -> dict[str, float]:
    """Return the median time of an operation in microseconds, by library."""
    times: dict[str, list[float]] = {name: [] for name in processes}
    for _ in range(rounds):
        for name, process in processes.items():
            spent = process.submit(spent_us, name, operation, title)
            times[name].append(spent.result())
    return {name: statistics.median(spent) for name, spent in times.items()}


def realistic(processes: Processes, operation: str, rounds: int) -> None:
    """Print the times of an operation for every sample message."""
    print(f"### {operation.capitalize()}, in microseconds\n")
    print("| message | bytes | ours | stock | upb | stock / ours | ours / upb |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for title in MESSAGES:
        spent = measure(processes, operation, title, rounds)
        ours, before, best = spent[OURS], spent[STOCK], spent[UPB]
        size = len(processes[OURS].submit(encoded, OURS, title).result())
        print(
            f"| {title} | {size:,} | {ours:,.2f} | {before:,.2f} | {best:,.2f} "
            f"| {before / ours:,.1f} | {ours / best:,.1f} |"
        )
    print()


def hostile(processes: Processes, rounds: int) -> None:
    """Print how long it takes to decode each expensive input."""
    print(f"### Decode {HOSTILE_BYTES:,} hostile bytes, in milliseconds\n")
    print("| input | message | ours | upb |")
    print("| --- | --- | ---: | ---: |")
    two = {name: processes[name] for name in (OURS, UPB)}
    for title, (message, _) in ATTACKS.items():
        spent = measure(two, HOSTILE, title, rounds)
        ours, best = spent[OURS] / 1e3, spent[UPB] / 1e3
        print(f"| {title} | {message.__name__} | {ours:.0f} | {best:.1f} |")


@contextmanager
def contest(title: str | None) -> Iterator[tuple[Processes, int]]:
    """Read the arguments, and print what is compared.

    Args:
        title: what the program does; its first line is shown by ``--help``.

    Yields:
        A process for each library, and how many rounds to measure.
    """
    parser = argparse.ArgumentParser(description=(title or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="3 rounds instead of 15")
    rounds = 3 if parser.parse_args().quick else 15
    print(
        f"Python {platform.python_version()}, betterproto {version('betterproto')}, "
        f"protobuf {version('protobuf')}; medians of {rounds} rounds\n"
    )
    with ExitStack() as stack:
        yield (
            {
                name: stack.enter_context(
                    ProcessPoolExecutor(1, mp_context=get_context("spawn"))
                )
                for name in (OURS, STOCK, UPB)
            },
            rounds,
        )


def main() -> None:
    """Read the arguments, measure, and print."""
    with contest(__doc__) as (processes, rounds):
        for title in MESSAGES:
            data = [p.submit(encoded, n, title).result() for n, p in processes.items()]
            if not processes[UPB].submit(same, title, data).result():
                sys.exit(f"{title}: they encode it differently")
        for operation in OPERATIONS:
            realistic(processes, operation, rounds)
        hostile(processes, rounds)


if __name__ == "__main__":
    main()
