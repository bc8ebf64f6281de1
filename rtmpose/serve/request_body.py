"""The body of a request: it must keep to its size, must not trickle, and loses its compression."""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from rtmpose.serve.faults import ServiceError, bad_request, too_large
from rtmpose.serve.settings import ServeSettings

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

UNPACKED = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""Content-Encoding to zlib's bits."""
PIECE_BYTES = 1 << 18
"""As much is unpacked at a time, whatever the bytes unpack to."""


class RequestBody:
    """Passes the messages of a body on.

    Args:
        receive: Gives the messages of the server.
        headers: Of the request, names in lower case.
        settings: How slow it may be.
        largest: Its largest size in bytes, with and without compression.

    Raises:
        ServiceError: it says that it is too large, or is compressed in an unknown way.
    """

    def __init__(
        self, receive: Receive, headers: dict[bytes, str], settings: ServeSettings, largest: int
    ) -> None:
        self._receive = receive
        self._settings = settings
        self._largest = largest
        self._sizes = [0, 0]  # as sent, and unpacked
        self._last = self._ended = False
        self._started = time.monotonic()
        self._packed = b""
        self._unpacker = _unpacker(headers.get(b"content-encoding", ""))

        # Before any of it is read.
        stated = headers.get(b"content-length", "")
        if stated.isdecimal() and (len(stated) > 19 or int(stated) > largest):
            raise self._too_large()

    async def receive(self) -> Message:
        """The next message.

        Raises:
            ServiceError: the body is too large, too slow, or damaged.
        """
        if self._ended:
            return await self._receive()
        if self._unpacker is not None:
            return await self._next_unpacked(self._unpacker)
        message = await self._next()
        self._ended = self._last
        return message

    async def _next(self) -> Message:
        """The next message as it was sent."""
        limit = self._settings.body_timeout_s
        try:
            message = await asyncio.wait_for(self._receive(), limit)
        except asyncio.TimeoutError as error:
            raise ServiceError(408, "slow", f"no byte of the body came for {limit:g} s") from error
        if message["type"] != "http.request":
            self._last = self._ended = True
            return message
        self._count(0, len(message.get("body", b"")))
        self._last = not message.get("more_body", False)
        spent = time.monotonic() - self._started - limit
        if not self._last and spent > 0 and self._sizes[0] < spent * self._settings.body_rate:
            raise ServiceError(408, "slow", "the body comes too slowly")
        return message

    async def _next_unpacked(self, unpacker: Any) -> Message:
        """The next piece without its compression."""
        while True:
            if not self._packed and not self._last:
                message = await self._next()
                if message["type"] != "http.request":
                    return message
                self._packed = message.get("body", b"")
            try:
                piece = unpacker.decompress(self._packed, PIECE_BYTES)
            except zlib.error as error:
                raise bad_request(f"the compressed body is damaged: {error}") from error
            self._packed = unpacker.unconsumed_tail
            self._count(1, len(piece))
            if unpacker.unused_data:
                raise bad_request("there are bytes behind the compressed body")

            # A full piece may not be the last, although everything was read.
            self._ended = self._last and not self._packed and len(piece) < PIECE_BYTES
            if self._ended and self._sizes[0] and not unpacker.eof:
                raise bad_request("the compressed body was cut short")
            if piece or self._ended:
                return {"type": "http.request", "body": piece, "more_body": not self._ended}

    def _count(self, which: int, size: int) -> None:
        self._sizes[which] += size
        if self._sizes[which] > self._largest:
            raise self._too_large()

    def _too_large(self) -> ServiceError:
        return too_large(f"the body is too large: the limit is {self._largest} bytes")


def _unpacker(encoding: str) -> Any:
    """What takes the compression away; None where there is none."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return None
    if encoding not in UNPACKED:
        raise ServiceError(415, "encoding", "Content-Encoding may be gzip or deflate")
    return zlib.decompressobj(UNPACKED[encoding])
