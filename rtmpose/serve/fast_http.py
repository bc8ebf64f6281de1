"""The parser of HTTP and the event loop: compiled ones where they are installed, as the extra
``serve`` does. There is no such loop for Windows.
"""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncio import Protocol


def http_protocol() -> str | type[Protocol]:
    """What uvicorn takes for connections."""
    if importlib.util.find_spec("httptools") is None:
        return "h11"
    from rtmpose.serve.http_protocol import BoundedHttp

    return BoundedHttp


def run(work: Coroutine[Any, Any, None]) -> None:
    """As :func:`asyncio.run`."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(work)
    else:
        uvloop.run(work)
