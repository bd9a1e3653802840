"""The commands of ``remotemedia``, and the exit code of each kind of failure."""

from __future__ import annotations

import os
from collections.abc import Sequence

import click

from remotemedia.cli import describe, serve, stream
from remotemedia.cli import run as execution
from remotemedia.cli.output import say, show_json
from remotemedia.errors import (
    RemoteMediaConnectionError,
    RemoteMediaError,
    RemoteMediaTimeoutError,
)
from remotemedia.v1 import ErrorType

EXIT_CODES = {
    ErrorType.VALIDATION: 3,
    ErrorType.NODE_EXECUTION: 4,
    ErrorType.RESOURCE_LIMIT: 5,
    ErrorType.AUTHENTICATION: 6,
    ErrorType.VERSION_MISMATCH: 7,
}
"""The exit code of each type of error that the service reports; 1 for any other."""

OTHER, USAGE, NO_CONNECTION, TIMED_OUT, INTERRUPTED = 1, 2, 8, 9, 130

_OPTIONS = {
    "ssl=True, or allow_insecure_token=True where the network is safe": "--tls",
    "ssl=True": "--tls",
    "ssl=TLS(ca=…)": "--tls-ca FILE",
    "RemoteMediaClient(…, contract='data'), or 'audio'": "--contract data, or audio",
    "RemoteMediaClient(…, contract='data')": "--contract data",
    "RemoteMediaClient(…, contract='audio')": "--contract audio",
    "data_inputs[": "--data [",
    "audio_inputs[": "--audio [",
}
_EPILOG = (
    "Exit codes: 0 done; 1 another failure; 2 wrong usage, or a file that cannot be "
    "read; 3 validation; 4 a node failed; 5 a resource limit; 6 authentication; "
    "7 version mismatch; 8 no connection; 9 time-out; 130 interrupted."
)


@click.group(epilog=_EPILOG)
@click.version_option(package_name="remotemedia")
def app() -> None:
    """Run pipelines on a RemoteMedia service."""


app.add_command(describe.version)
app.add_command(describe.check)
app.add_command(execution.run)
app.add_command(stream.stream)
app.add_command(serve.serve)


def run(arguments: Sequence[str]) -> int:
    """Run a command, say what failed, and return the exit code."""
    try:
        code = app.main(list(arguments), "remotemedia", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        say("interrupted")
        return INTERRUPTED
    except RemoteMediaError as error:
        error.message = _for_a_shell(error.message)
        _tell(error, as_json="--json" in arguments)
        return exit_code(error)
    except BrokenPipeError:
        # Whoever read the output has had enough, as `head` does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return OTHER
    except (ImportError, OSError, ValueError) as error:
        say(f"error: {_for_a_shell(str(error))}")
        return USAGE
    return code if isinstance(code, int) else 0


def exit_code(error: RemoteMediaError) -> int:
    """The exit code that says which kind of failure it was."""
    if isinstance(error, RemoteMediaConnectionError):
        return NO_CONNECTION
    if isinstance(error, RemoteMediaTimeoutError):
        return TIMED_OUT
    return EXIT_CODES.get(error.error_type, OTHER)


def _for_a_shell(text: str) -> str:
    """A text of the library, with options where it names arguments of Python."""
    for argument, option in _OPTIONS.items():
        text = text.replace(argument, option)
    return text


def _tell(error: RemoteMediaError, *, as_json: bool) -> None:
    if not as_json:
        kind = "" if error.error_type is ErrorType.INTERNAL else error.error_type.name
        node = f" in node {error.failing_node_id!r}" if error.failing_node_id else ""
        say(f"error{f' {kind}' if kind else ''}{node}: {error}")
        return
    show_json(
        {
            "error": {
                "type": error.error_type.name,
                "message": error.message,
                "node_id": error.failing_node_id,
                "status": None if error.status is None else error.status.name,
                "retryable": error.retryable,
                "request_id": error.request_id,
            }
        }
    )
