"""Reading addresses of the web: http and https only, within limits of time and size, and with one
kind of error whatever goes wrong.

Servers stall, lie about lengths, and redirect to anything. A thread watches each transfer and ends
it when the server is too slow, as a timeout alone is renewed by every byte that arrives.
"""

from __future__ import annotations

import http.client
import math
import os
import re
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.message import Message
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

READ_SECONDS = 30.0
"""Longest wait for one packet."""
BLOCK = 1 << 18
MIN_RATE_VARIABLE = "RTMPOSE_DOWNLOAD_MIN_RATE"
TIMEOUT_VARIABLE = "RTMPOSE_DOWNLOAD_TIMEOUT"
DEFAULT_MIN_RATE = 1000.0

NETWORK_ERRORS = (OSError, http.client.HTTPException, ValueError, LookupError)
"""What reading an address may raise; ValueError for addresses and headers that make no sense."""


class WebError(Exception):
    """An address could not be read; the text is the reason, in one line.

    Attributes:
        status: The status of the answer; 0 where there was none.
        slow: Whether the server was too slow.
    """

    def __init__(self, reason: str, *, status: int = 0, slow: bool = False) -> None:
        super().__init__(reason)
        self.status = status
        self.slow = slow


# ---- limits


@dataclass(frozen=True)
class WebLimits:
    """How long and how large a transfer may be.

    Attributes:
        total_s: Seconds in all; 0 for any time.
        min_rate: Bytes per second that must arrive on average over ``window_s``; 0 for any rate.
        largest: Bytes.
        window_s: Seconds.
    """

    total_s: float
    min_rate: float
    largest: int
    window_s: float = 30.0


def limits_from_environment(total_s: float, largest: int) -> WebLimits:
    """Limits with what ``RTMPOSE_DOWNLOAD_MIN_RATE`` (bytes per second) and
    ``RTMPOSE_DOWNLOAD_TIMEOUT`` (seconds) say in place of the defaults; 0 stands for no limit.

    Raises:
        WebError: one of them is not a number.
    """
    return WebLimits(
        _number(TIMEOUT_VARIABLE, total_s), _number(MIN_RATE_VARIABLE, DEFAULT_MIN_RATE), largest
    )


def _number(variable: str, default: float) -> float:
    text = os.environ.get(variable, "").strip()
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise WebError(f"{variable} must be a number from 0, not {text!r}")
    return value


# ---- addresses


def checked_url(url: str) -> str:
    """The address with spaces and letters that need it in percent codes.

    Raises:
        WebError: it is no http or https address, or its host or port make no sense.
    """
    try:
        parts = urlsplit(url)
        if parts.scheme.lower() not in ("http", "https"):
            raise WebError(f"{parts.scheme or 'no scheme'} is not read, only http and https")
        port = parts.port
        if not parts.hostname or port == 0:
            raise WebError("the address has no host or no usable port")
        # Bytes that stand in percent codes already are left alone.
        path = quote(parts.path, safe="/%:@!$&'()*+,;=~-._")
        query = quote(parts.query, safe="/%:@!$&'()*+,;=~-._?")
        host = parts.netloc.encode("idna").decode() if not parts.netloc.isascii() else parts.netloc
    except ValueError as error:
        raise WebError(f"the address is not valid: {one_line(error)}") from error
    if re.search(r"[\s\x00-\x1f\x7f]", host):
        raise WebError("the address is not valid: its host has a space or a control character")
    return urlunsplit((parts.scheme, host, path, query, ""))


# ---- reading


class WebResponse:
    """An answer of a server: its head, and its body block by block.

    Attributes:
        status: Such as 200.
        headers: As sent.
        length: Bytes of the body, where the server says it in a way that can be relied on.
    """

    def __init__(
        self, response: http.client.HTTPResponse, watch: _Watch, limits: WebLimits
    ) -> None:
        self.status = response.status
        self.headers: Message = response.headers
        self.length = _content_length(response.headers)
        self._response = response
        self._watch = watch
        self._limits = limits
        if self.length is not None and self.length > limits.largest:
            raise WebError(f"it has {self.length:,} bytes; at most {limits.largest:,} are taken")

    @property
    def encoding(self) -> str:
        """How the body is compressed; empty if it is not."""
        text = str(self.headers.get("Content-Encoding") or "").strip().lower()
        return "" if text == "identity" else text

    def blocks(self) -> Iterator[bytes]:
        """The body as it arrives.

        Raises:
            WebError: the connection broke, or a limit was reached.
        """
        done = 0
        while True:
            try:
                block = self._response.read1(BLOCK)
            except NETWORK_ERRORS as error:
                self._watch.check()
                raise WebError(
                    f"the connection broke after {done:,} bytes: {reason_of(error)}"
                ) from error
            # An empty block is the end, or a connection that closed quietly.
            self._watch.check()
            if not block:
                break
            done += len(block)
            self._watch.count(len(block))
            if done > self._limits.largest:
                raise WebError(f"it sent more than {self._limits.largest:,} bytes")
            yield block
        if self.length is not None and done != self.length:
            raise WebError(f"the connection closed early, at {done:,} of {self.length:,} bytes")


@contextmanager
def open_url(url: str, headers: Mapping[str, str], limits: WebLimits) -> Iterator[WebResponse]:
    """Ask for an address; redirects are followed to http and https only.

    Raises:
        WebError: there is no answer, or it is an error.
    """
    watch = _Watch(limits)
    watch.start()
    try:
        with _answer(checked_url(url), headers, watch) as response:
            watch.answered = True
            yield WebResponse(response, watch, limits)
    finally:
        watch.stop()


def _answer(url: str, headers: Mapping[str, str], watch: _Watch) -> http.client.HTTPResponse:
    try:
        request = urllib.request.Request(url, headers=dict(headers))
        response: http.client.HTTPResponse = _opener(watch).open(request, timeout=READ_SECONDS)
    except urllib.error.HTTPError as error:
        error.close()
        watch.check()
        reason = one_line(error.reason)
        raise WebError(f"the server answered {error.code} {reason}", status=error.code) from error
    except NETWORK_ERRORS as error:
        watch.check()
        raise WebError(reason_of(error)) from error
    return response


def _opener(watch: _Watch) -> urllib.request.OpenerDirector:
    """What opens addresses: no files, no ftp, and the proxies of the environment as it is now."""
    plain = urllib.request.HTTPHandler()
    secure = urllib.request.HTTPSHandler()
    redirect = urllib.request.HTTPRedirectHandler()
    follow = redirect.redirect_request

    def open_plain(request: Any) -> Any:
        return plain.do_open(watch.connected_by(http.client.HTTPConnection), request)

    def open_secure(request: Any) -> Any:
        make = watch.connected_by(http.client.HTTPSConnection)
        return secure.do_open(make, request, context=ssl.create_default_context())

    def redirect_request(
        request: Any, answer: Any, code: int, message: str, headers: Any, new_url: str
    ) -> Any:
        try:
            new_url = checked_url(new_url)
        except WebError as error:
            answer.close()
            raise WebError(f"it redirects to {new_url[:80]!r}: {error}") from error
        return follow(request, answer, code, message, headers, new_url)

    # Handlers are looked up by the names of their methods.
    plain.http_open = open_plain  # type: ignore[method-assign, assignment]
    secure.https_open = open_secure  # type: ignore[method-assign, assignment]
    redirect.redirect_request = redirect_request  # type: ignore[method-assign, assignment]
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        plain,
        secure,
        urllib.request.HTTPDefaultErrorHandler(),
        redirect,
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


def _content_length(headers: Message) -> int | None:
    """The length that the header gives; None where there is none, or nothing that can be read."""
    values = headers.get_all("Content-Length") or []
    texts = {str(value).strip() for value in values}
    if len(texts) != 1 or "Transfer-Encoding" in headers:
        return None
    text = texts.pop()
    return int(text) if re.fullmatch(r"[0-9]{1,15}", text) else None


# ---- watching


class _Watch:
    """Ends a transfer that is too slow, by closing the way that its bytes come."""

    def __init__(self, limits: WebLimits) -> None:
        self.answered = False
        self._limits = limits
        self._start = time.monotonic()
        self._received = 0
        self._failure = ""
        self._connections: list[http.client.HTTPConnection] = []
        self._sockets: list[socket.socket] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rtmpose-download", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def count(self, size: int) -> None:
        self._received += size

    def check(self) -> None:
        """Raise the reason why the transfer was ended, if it was."""
        if self._failure:
            raise WebError(self._failure, slow=True)

    def connected_by(self, kind: Callable[..., http.client.HTTPConnection]) -> Any:
        """Makes connections of that kind whose sockets are known here."""

        def make(host: str, **settings: Any) -> http.client.HTTPConnection:
            connection = kind(host, **settings)
            connect = connection.connect

            def connect_and_keep() -> None:
                connect()
                self._sockets.append(connection.sock)
                # Looking up a name takes its time, and cannot be ended.
                self.check()

            connection.connect = connect_and_keep  # type: ignore[method-assign]
            self._connections.append(connection)
            return connection

        return make

    def _run(self) -> None:
        limits = self._limits
        tick = min(1.0, limits.window_s / 4, limits.total_s / 4 or 1.0)
        # Moments and bytes received until then: the window slides, so that a server which stalls
        # is noticed after that time and not after twice as long.
        samples = deque([(self._start, 0)])
        while not self._ended.wait(tick):
            now = time.monotonic()
            if limits.total_s and now - self._start > limits.total_s:
                self._fail(f"it was not complete after {limits.total_s:g} s")
                return
            samples.append((now, self._received))
            while len(samples) > 1 and now - samples[1][0] >= limits.window_s:
                samples.popleft()
            since, before = samples[0]
            if now - since < limits.window_s:
                continue
            received = self._received - before
            if limits.min_rate and received < limits.min_rate * (now - since):
                what = f"sent only {received:,} bytes" if self.answered else "did not answer"
                self._fail(f"the server {what} in {now - since:.0f} s")
                return

    def _fail(self, reason: str) -> None:
        self._failure = reason
        # Not closed, as that would not wake the thread that waits for bytes.
        current = [c.sock for c in self._connections if c.sock is not None]
        for sock in (*self._sockets, *current):
            with suppress(OSError, ValueError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)


# ---- reasons


def reason_of(error: BaseException) -> str:
    """An error of the network as one line."""
    inner = getattr(error, "reason", None)
    # urllib wraps the cause.
    cause = inner if isinstance(inner, BaseException) else error
    if isinstance(cause, TimeoutError):
        return "timed out"
    text = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    return one_line(text)


def one_line(text: object) -> str:
    """A text of a server or library without line breaks and control characters, and not long."""
    words = re.sub(r"[\x00-\x1f\x7f\s]+", " ", str(text)).strip()
    return words if len(words) <= 200 else words[:199] + "…"
