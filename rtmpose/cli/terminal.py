"""The console that progress goes to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def stderr_console() -> Console:
    """A rich console on stderr, so that stdout stays clean for results."""
    from rich.console import Console

    return Console(stderr=True)
