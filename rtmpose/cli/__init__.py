"""The ``rtmpose`` command: one file per subcommand.

Errors come out as one paragraph; ``--debug`` shows the traceback.
"""

from __future__ import annotations

import errno
import logging
import signal
import sys
from typing import Any

from rtmpose.cli.standard_streams import (
    discard_stdout,
    flush_stdout,
    occupy_closed_streams,
    show_any_character,
    tell,
)
from rtmpose.errors import RtmposeError
from rtmpose.signals import end_as_interrupt

__all__ = ["main"]

EXIT_ERROR, EXIT_INTERRUPTED = 1, 130
OUTPUT_ERRORS = (errno.ENOSPC, errno.EPIPE, errno.EBADF, errno.EIO, errno.EFBIG, errno.EDQUOT)
SIGNAL_BASE = 128
"""A run ended by a signal exits with this plus the signal's number."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; the exit status is returned to the shell by the console script.

    SIGTERM and SIGHUP end a run like Ctrl-C: files are completed first.

    Args:
        arguments: As in ``sys.argv[1:]``, which is the default.
    """
    # These options stand anywhere on the line, before or after the subcommand.
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments
    arguments = [a for a in arguments if a != "--debug"]
    verbose = debug or "--verbose" in arguments or "-v" in arguments
    arguments = [a for a in arguments if a not in ("--verbose", "-v")]

    occupy_closed_streams()
    show_any_character()
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.INFO if verbose else logging.WARNING,
        format="%(levelname)s: %(message)s",
    )
    with end_as_interrupt() as received:
        status = _run(arguments, debug=debug)
        failure = flush_stdout()
    # Whatever error a library made of the signal.
    if status == EXIT_INTERRUPTED or (received and status == EXIT_ERROR):
        keys = not received or received[0] == signal.SIGINT
        name = "Ctrl-C" if keys else received[0].name
        tell(f"rtmpose: interrupted by {name}; what was finished has been kept")
        return SIGNAL_BASE + received[0] if received else EXIT_INTERRUPTED
    if failure is not None:
        # `rtmpose ... | head`: nobody reads any more, which is no fault to report.
        if not isinstance(failure, BrokenPipeError):
            tell(f"rtmpose: standard output cannot be written: {failure.strerror or failure}")
        return status or EXIT_ERROR
    return status


def _run(arguments: list[str], *, debug: bool) -> int:
    """Run the command; the exit status, and everything that users can cause as one paragraph."""
    import typer

    from rtmpose.cli.app import make_app
    from rtmpose.cli.usage_hints import usage_hints

    # Older typers depend on click, newer ones carry their own: reach its base error through what
    # typer offers.
    usage_error: Any = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")
    # `rtmpose help track`, as other programs have it.
    if arguments[:1] == ["help"]:
        arguments = [*arguments[1:], "--help"]
    try:
        if arguments[:1] == ["eval"]:
            from rtmpose.cli.evaluate import with_kind

            arguments = with_kind(arguments)
        app = make_app(arguments)
        result = app(arguments, prog_name="rtmpose", standalone_mode=False)
    except RtmposeError as error:
        if debug:
            raise
        # The reader of a pipe may leave early.
        if isinstance(error.__cause__, BrokenPipeError):
            discard_stdout()
        else:
            tell(f"rtmpose: {error}")
        return EXIT_ERROR
    # Ctrl-C.
    except (KeyboardInterrupt, typer.Abort):
        if debug:
            raise
        return EXIT_INTERRUPTED
    except usage_error as error:
        error.show()
        for line in usage_hints(arguments, error.format_message()):
            tell(line)
        return int(error.exit_code)
    except typer.Exit as error:
        return error.exit_code
    except SystemExit as end:
        # Typer and rich leave in this way when nobody reads their output.
        discard_stdout()
        return end.code if isinstance(end.code, int) else EXIT_ERROR
    except OSError as error:
        # Of what is printed; errors of files are typed.
        if debug or not _is_output_failure(error):
            raise
        discard_stdout()
        if not isinstance(error, BrokenPipeError):
            tell(f"rtmpose: standard output cannot be written: {error.strerror or error}")
        return EXIT_ERROR
    # Newer typers turn Ctrl-C into the status EXIT_INTERRUPTED themselves.
    return int(result) if isinstance(result, int) else 0


def _is_output_failure(error: OSError) -> bool:
    """Whether an error is of a write to standard output, which alone has no file name."""
    return error.filename is None and error.errno in OUTPUT_ERRORS
