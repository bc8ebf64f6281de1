"""Bodies of requests: parts of a form as they come, and JSON, both within limits.

Files are handed on piece by piece, so that a video never lies in memory, and nothing is written to
a place that is not ours.
"""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from rtmpose.errors import InputError
from rtmpose.serve.faults import bad_request, too_large
from rtmpose.text_files import parse_json

logging.getLogger("python_multipart").setLevel(logging.ERROR)  # errors are answers here

MOST_PARTS = 64
MOST_HEADER_BYTES = 8192
FIELD_BYTES = 64 * 1024
URL_SAFE = str.maketrans("-_", "+/")
"""The alphabet for addresses, in place of the usual one."""


@dataclass(eq=False)
class PartStart:
    """The head of a part of a form.

    Attributes:
        name: Of the field.
        filename: The client's name of the file; None where the part is a plain field.
    """

    name: str
    filename: str | None


FormEvent = PartStart | bytes


def media_type_of(request: Request) -> str:
    """The media type of the body, without parameters, in lower case."""
    return request.headers.get("content-type", "").split(";")[0].strip().lower()


async def form_events(request: Request) -> AsyncIterator[FormEvent]:
    """The parts of a form as they come: a start, then its bytes in pieces.

    Raises:
        ServiceError: the body is no form, was cut short, or has too many parts.
    """
    _, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary", b"")
    if not 0 < len(boundary) <= 200:
        raise bad_request("the form's Content-Type has no boundary")
    form = _Form()
    parser = MultipartParser(boundary, form.callbacks())
    try:
        async for chunk in request.stream():
            parser.write(chunk)
            for event in form.take():
                yield event
        parser.finalize()
    except MultipartParseError as error:
        raise bad_request(f"the form cannot be read: {error}") from error
    for event in form.take():
        yield event
    if not form.ended:
        raise bad_request("the form was cut short")


async def json_body(request: Request) -> dict[str, Any]:
    """The object in the body.

    Raises:
        ServiceError: it is no JSON object.
    """
    body = await request.body()
    try:
        value = parse_json(body, "the body")
    except InputError as error:
        raise bad_request(str(error)) from error
    if not isinstance(value, dict):
        raise bad_request("the body is not a JSON object")
    return value


def from_base64(text: object, name: str) -> bytes:
    """Bytes of base64, of either alphabet, with or without its last ``=``; a ``data:`` prefix is
    left out, and so are the ends of lines.

    Raises:
        ServiceError: it is something else.
    """
    if not isinstance(text, str):
        raise bad_request(f"{name} is not a text in base64")
    if text[:8].lower().startswith(("http://", "https://", "file://")):
        raise bad_request(f"{name} is an address, which is not opened: send the file, in base64")
    if text.startswith("data:"):
        text = text.partition(",")[2]
    coded = "".join(text.split()).translate(URL_SAFE).rstrip("=")
    try:
        return base64.b64decode(coded + "=" * (-len(coded) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise bad_request(f"{name} is not base64: {error}") from error


@dataclass(eq=False)
class _Form:
    """Turns the parser's callbacks into events."""

    ended: bool = False
    _events: list[FormEvent] = field(default_factory=list)
    _headers: dict[bytes, bytes] = field(default_factory=dict)
    _name: bytes = b""
    _value: bytes = b""
    _parts: int = 0
    _header_bytes: int = 0

    def take(self) -> list[FormEvent]:
        """What has come since the last time."""
        events = self._events
        self._events = []
        return events

    def callbacks(self) -> dict[str, Any]:
        """For the parser, by its names."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_name,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._started,
            "on_part_data": self._data,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise too_large(f"a form has at most {MOST_PARTS} parts")
        self._headers = {}
        self._name = self._value = b""
        self._header_bytes = 0

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]
        self._count(end - start)

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._count(end - start)

    def _count(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > MOST_HEADER_BYTES:
            raise too_large(f"the head of a part has at most {MOST_HEADER_BYTES} bytes")

    def _header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def _started(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        name = options.get(b"name", b"").decode("utf-8", "replace")
        filename = options.get(b"filename")
        shown = None if filename is None else filename.decode("utf-8", "replace")
        self._events.append(PartStart(name, shown))

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._events.append(data[start:end])

    def _end(self) -> None:
        self.ended = True
