"""``/v1/stream``: frames in, people with ids out, over a WebSocket.

Two tasks for each stream: one takes messages, and keeps the newest frame only; the other works on
it. So a slow network or a slow client makes frames rarer, never older.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from typing import Any

from fastapi import APIRouter, WebSocket
from starlette.websockets import WebSocketDisconnect, WebSocketState

from rtmpose.errors import InputError
from rtmpose.serve.faults import ServiceError
from rtmpose.serve.models import model_names
from rtmpose.serve.results import skeleton_json
from rtmpose.serve.service import Service
from rtmpose.serve.stream_session import StreamSession
from rtmpose.serve.stream_settings import StreamSettings, stream_settings
from rtmpose.text_files import parse_json, to_json

SUBPROTOCOL = "rtmpose.v1"
IDLE_S = 60.0
"""Without any message a stream ends."""
SEND_S = 10.0
"""A client that takes no result for so long is gone."""
LARGEST_TEXT = 64 * 1024
BINARY = "frames are binary messages: JPEG, WebP or PNG"
TOO_LONG = f"the message is too long; {BINARY}"
NO_UPGRADE = (
    "this is a WebSocket (ws:// or wss://); a proxy in front must pass on the headers Upgrade and"
    " Connection"
)
POLICY, TOO_LARGE, TRY_LATER, GOING_AWAY = 1008, 1009, 1013, 1001


def stream_routes(service: Service) -> APIRouter:
    """The route."""
    router = APIRouter()
    of_client: Counter[str] = Counter()

    @router.get("/v1/stream", include_in_schema=False)
    async def plain() -> None:
        raise ServiceError(426, "upgrade", NO_UPGRADE)

    @router.websocket("/v1/stream")
    async def stream(socket: WebSocket) -> None:
        client = str(getattr(socket.state, "client", "local"))
        offered = [name.strip() for name in socket.scope.get("subprotocols", [])]
        await socket.accept(SUBPROTOCOL if SUBPROTOCOL in offered else None)
        limits = service.settings
        full = of_client.total() >= limits.max_streams
        if full or of_client[client] >= limits.max_streams_per_client:
            await _end(socket, TRY_LATER, "busy", "too many streams are open; try again")
            return
        of_client[client] += 1
        service.metrics.streams.inc()
        try:
            await _Stream(service, socket, client).run()
        finally:
            service.metrics.streams.dec()
            of_client[client] -= 1
            if not of_client[client]:
                del of_client[client]

    return router


class _Stream:
    """One connection."""

    def __init__(self, service: Service, socket: WebSocket, client: str) -> None:
        self._service = service
        self._socket = socket
        self._session = StreamSession(service, client, StreamSettings())
        self._news = asyncio.Event()
        self._time_s: float | None = None
        self._heard = time.monotonic()
        self._sending: float | None = None  # since when

    async def run(self) -> None:
        """Until the client leaves."""
        parts = (self._take(), self._work(), self._watch())
        tasks = [asyncio.ensure_future(part) for part in parts]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._session.close()

    async def _take(self) -> None:
        """Take messages."""
        try:
            while True:
                message = await self._socket.receive()
                self._heard = time.monotonic()
                if message["type"] == "websocket.disconnect":
                    return
                data = message.get("bytes")
                if data is not None:
                    self._session.add(data, self._time_s)
                    self._time_s = None
                    self._news.set()
                elif not await self._text(message.get("text") or ""):
                    return
        except (WebSocketDisconnect, RuntimeError):
            return

    async def _watch(self) -> None:
        """Returns when nothing came for too long, or a result is not taken. One timer for all
        messages: a limit of each would be a task more for every frame.
        """
        while True:
            now = time.monotonic()
            if self._sending is not None and now - self._sending > SEND_S:
                return
            if now - self._heard > IDLE_S:
                await _end(self._socket, GOING_AWAY, "idle", f"nothing came for {IDLE_S:g} s")
                return
            await asyncio.sleep(min(IDLE_S, SEND_S) / 5)

    async def _text(self, text: str) -> bool:
        """Handle a message of text; False ends the stream."""
        if len(text) > LARGEST_TEXT:
            await _end(self._socket, TOO_LARGE, "too_large", TOO_LONG)
            return False
        try:
            if not text.lstrip().startswith("{"):
                raise InputError(f"the message is not a JSON object; {BINARY}")
            message = parse_json(text, "the message")
            if not isinstance(message, dict):
                raise InputError("the message is not a JSON object")
            await self._handle(message)
        except InputError as error:
            await self._send({"type": "error", "code": "unusable", "message": str(error)})
        return True

    async def _handle(self, message: dict[str, Any]) -> None:
        kind = message.pop("type", None)
        if kind == "settings":
            self._session.use(stream_settings(message))
            await self._send(self._ready())
        elif kind == "frame":
            self._time_s = _seconds(message.get("time_s"))
        elif kind == "reset":
            self._session.reset()
        elif kind == "ping":
            await self._send({"type": "pong", "t": message.get("t")})
        else:
            raise InputError("the type of a message is settings, frame, reset or ping")

    async def _work(self) -> None:
        """Work on the newest frame, again and again."""
        loop = asyncio.get_running_loop()
        while True:
            await self._news.wait()
            self._news.clear()
            frame = self._session.take()
            if frame is None:
                continue
            result = await loop.run_in_executor(self._session.thread, self._session.work, frame)
            try:
                await self._send(result)
            except (WebSocketDisconnect, RuntimeError):
                return

    async def _send(self, message: dict[str, Any]) -> None:
        text = to_json(message, separators=(",", ":"))
        self._sending = time.monotonic()
        await self._socket.send_text(text)
        self._sending = None

    def _ready(self) -> dict[str, Any]:
        engine = self._service.engine
        return {
            "type": "ready",
            "model": model_names(engine.model),
            "keypoint_set": skeleton_json(engine.skeleton),
            "settings": self._session.settings.as_json(),
        }


async def _end(socket: WebSocket, code: int, reason: str, message: str) -> None:
    """Say why, then close."""
    if socket.application_state != WebSocketState.CONNECTED:
        return
    try:
        text = to_json({"type": "error", "code": reason, "message": message})
        await asyncio.wait_for(socket.send_text(text), SEND_S)
        await socket.close(code, reason)
    except (asyncio.TimeoutError, WebSocketDisconnect, RuntimeError):
        return


def _seconds(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    raise InputError("time_s is not a number of seconds")
