"""Connections that send nothing, or a head of a request letter by letter, do not stay.

Bodies have limits of their own (:mod:`rtmpose.serve.guard`); heads come before any application.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

LOOK_S = 1.0


async def close_idle_connections(server: Any, limit_s: float) -> None:
    """Close connections that have no request at work for longer than a limit. Runs until canceled.

    Args:
        server: The :class:`uvicorn.Server`.
        limit_s: Longest time without a whole head of a request.
    """
    since: dict[int, float] = {}
    while True:
        await asyncio.sleep(min(LOOK_S, limit_s / 4))
        now = time.monotonic()
        idle: dict[int, float] = {}
        for protocol in list(server.server_state.connections):
            if not _is_idle(protocol):
                continue
            begun = since.get(id(protocol), now)
            idle[id(protocol)] = begun
            if now - begun > limit_s:
                protocol.transport.close()
        since = idle


def _is_idle(protocol: Any) -> bool:
    """Whether no request is at work: none has come yet, or the last one was answered."""
    # WebSockets have pings instead.
    if not hasattr(protocol, "cycle"):
        return False
    cycle = protocol.cycle
    return cycle is None or bool(cycle.response_complete)
