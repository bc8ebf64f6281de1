"""The ``rtmpose`` command: one file per subcommand.

Errors come out as one paragraph; ``--debug`` shows the traceback.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

from rtmpose.errors import RtmposeError

__all__ = ["main"]

EXIT_ERROR = 1
EXIT_INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; the exit status is returned to the shell by the console script.

    Args:
        arguments: As in ``sys.argv[1:]``, which is the default.
    """
    import typer

    from rtmpose.cli.app import make_app

    # Older typers depend on click, newer ones carry their own: reach its base error through what
    # typer offers.
    usage_error: Any = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")

    # These options stand anywhere on the line, before or after the subcommand.
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments
    arguments = [a for a in arguments if a != "--debug"]
    verbose = debug or "--verbose" in arguments or "-v" in arguments
    arguments = [a for a in arguments if a not in ("--verbose", "-v")]
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.INFO if verbose else logging.WARNING,
        format="%(levelname)s: %(message)s",
    )
    try:
        if arguments[:1] == ["eval"]:
            from rtmpose.cli.evaluate import with_kind

            arguments = with_kind(arguments)
        app = make_app(arguments)
        result = app(arguments, prog_name="rtmpose", standalone_mode=False)
    except RtmposeError as error:
        if debug:
            raise
        if isinstance(error.__cause__, BrokenPipeError):
            # `rtmpose ... | head`: nobody reads any more, which is no fault to report.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return EXIT_ERROR
        sys.stderr.write(f"rtmpose: {error}\n")
        return EXIT_ERROR
    except (KeyboardInterrupt, typer.Abort):
        if debug:
            raise
        return _interrupted()
    except usage_error as error:
        error.show()
        return int(error.exit_code)
    except typer.Exit as error:
        return error.exit_code
    # Newer typers turn Ctrl-C into this status themselves.
    if result == EXIT_INTERRUPTED:
        return _interrupted()
    return int(result) if isinstance(result, int) else 0


def _interrupted() -> int:
    sys.stderr.write("rtmpose: interrupted; what was finished has been kept\n")
    return EXIT_INTERRUPTED
