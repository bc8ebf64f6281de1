"""HTTP by llhttp, with a bounded head of a request: uvicorn's own class keeps as much of it as
comes.
"""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LARGEST_HEAD = 32 * 1024
"""Bytes of the line and the headers of a request."""
VERSIONS = ("1.0", "1.1")


class BoundedHttp(HttpToolsProtocol):
    """A connection. Its parser calls the methods whose names begin with ``on_``; it makes errors of
    its own of theirs, which are answered with 400.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._waiting_bytes = 0  # of a head that is not whole, in messages after its first one
        self._parsed_bytes = 0
        self._in_head = False

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        went_on = self._in_head
        super().data_received(data)
        # The parser keeps what it has of a header.
        if went_on and self._in_head:
            self._waiting_bytes += len(data)
        if self._waiting_bytes > LARGEST_HEAD and not self.transport.is_closing():
            self.send_400_response("The head of the request is too large.")

    def on_message_begin(self) -> None:
        """A head begins."""
        self._in_head = True
        self._waiting_bytes = self._parsed_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A part of the address."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header."""
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._in_head = False
        if self.parser.get_http_version() not in VERSIONS:
            raise ValueError("not a version of HTTP that is known here")
        super().on_headers_complete()

    def _count(self, size: int) -> None:
        self._parsed_bytes += size
        if self._parsed_bytes > LARGEST_HEAD:
            raise ValueError("the head of the request is too large")
