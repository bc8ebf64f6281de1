"""Connections that send nothing, or a head of a request letter by letter, or read no answer, do not
stay.

Bodies have limits of their own (:mod:`rtmpose.serve.request_body`); heads come before any
application, and what is not read waits behind it.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

LOOK_S = 1.0


async def close_idle_connections(server: Any, limit_s: float, read_s: float) -> None:
    """Close connections that have no request at work for longer than a limit, and those whose
    clients read nothing. Runs until canceled.

    Args:
        server: The :class:`uvicorn.Server`.
        limit_s: Longest time without a whole head of a request.
        read_s: Longest time without reading. Players pause, too: they ask for the rest again.
    """
    idle: dict[int, float] = {}
    unread: dict[int, tuple[int, float]] = {}
    while True:
        await asyncio.sleep(min(LOOK_S, limit_s / 4, read_s / 4))
        connections = list(server.server_state.connections)
        idle = _close_idle(connections, idle, limit_s)
        unread = _close_unread(connections, unread, read_s)


def _close_idle(
    connections: list[Any], before: dict[int, float], limit_s: float
) -> dict[int, float]:
    """Close those without a request; since when the others have none."""
    now = time.monotonic()
    since = {id(c): before.get(id(c), now) for c in connections if _is_idle(c)}
    for connection in connections:
        if now - since.get(id(connection), now) > limit_s:
            connection.transport.close()
    return since


def _close_unread(
    connections: list[Any], before: dict[int, tuple[int, float]], limit_s: float
) -> dict[int, tuple[int, float]]:
    """Close those of which as many bytes wait as before; how many wait of the others since when."""
    now = time.monotonic()
    since: dict[int, tuple[int, float]] = {}
    for connection in connections:
        size = connection.transport.get_write_buffer_size()
        if not size:
            continue
        size_then, then = before.get(id(connection), (size, now))
        since[id(connection)] = (size, then if size == size_then else now)
        if now - since[id(connection)][1] > limit_s:
            # Not closed: that would wait for the rest to be read.
            connection.transport.abort()
    return since


def _is_idle(protocol: Any) -> bool:
    """Whether no request is at work: none has come yet, or the last one was answered."""
    # WebSockets have pings instead.
    if not hasattr(protocol, "cycle"):
        return False
    cycle = protocol.cycle
    return cycle is None or bool(cycle.response_complete)
