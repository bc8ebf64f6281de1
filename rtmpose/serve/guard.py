"""What every request passes first: who it is from, whether it may come in, and how large and slow
its body may be. Every answer gets its headers here, and a line in the log.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import re
import secrets
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from rtmpose.serve.access_log import AccessLog
from rtmpose.serve.client_address import client_address
from rtmpose.serve.cross_origin import answer_headers, may_use
from rtmpose.serve.faults import ServiceError, draining
from rtmpose.serve.rate_limit import RateLimit
from rtmpose.serve.request_body import RequestBody
from rtmpose.serve.settings import LOOPBACK, ServeSettings
from rtmpose.text_files import to_json

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

PAGE_FILES = ("/sw.js", "/manifest.webmanifest", "/favicon.ico")
"""Files of the page that browsers look for at the top."""
OPEN_PATHS = (
    "/",
    *PAGE_FILES,
    "/healthz",
    "/readyz",
    "/v2/health/live",
    "/v2/health/ready",
)
"""Without a token: the page, which asks for it, and what watches over the service."""
COOKIE = "rtmpose_session"
"""Instead of the token, for what a page cannot fetch with headers: videos, downloads, streams."""
OPEN_FOLDER = "/static/"
BEARER_PROTOCOL = "bearer."
"""Browsers cannot set headers of a WebSocket: there the token is one of the subprotocols, in
base64url after this.
"""
SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
    "content-security-policy": (
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'"
        " 'unsafe-inline'; img-src 'self' blob: data:; media-src 'self' blob:; connect-src 'self'"
        " data: blob:; worker-src 'self' blob:; manifest-src 'self'; font-src 'self'; base-uri"
        " 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
}
NO_STORE = ("/v1/", "/v2/", "/metrics")
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""Names of requests that clients may give, to find them in the log."""
PATH_SEND = "http.response.pathsend"
"""The message, and the extension, of servers that read files themselves."""


def token_is_right(given: str, settings: ServeSettings) -> bool:
    """Compare with the token, in a time that does not depend on where they differ."""
    if settings.token is None:
        return True
    return hmac.compare_digest(given.encode(), settings.token.encode())


def session_value(settings: ServeSettings) -> str:
    """What the cookie holds: made of the token, which cannot be made of it."""
    token = (settings.token or "").encode()
    return hmac.new(token, b"rtmpose session", "sha256").hexdigest()


class Guard:
    """Middleware around the application.

    Args:
        app: What is guarded.
        settings: Token, limits, address.
        log: Gets a line for each request.
    """

    def __init__(self, app: App, settings: ServeSettings, log: AccessLog) -> None:
        self._app = app
        self._settings = settings
        self._log = log
        self._rate = RateLimit(settings.rate_limit)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a connection."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        scope = self._without_prefix(scope)
        client = self._client(scope)
        given_id = _header(scope, b"x-request-id")
        request_id = given_id if REQUEST_ID.fullmatch(given_id) else secrets.token_hex(8)
        path = path_of(scope)
        scope["state"] = {**scope.get("state", {}), "client": client}
        entry = self._log.begin(scope, client, request_id)
        more = self._cross_origin(scope)
        answer = _Answer(scope, send, request_id, more)
        try:
            self._check(scope, client)
            if _is_preflight(scope) and "access-control-allow-origin" in more:
                await answer.send({"type": "http.response.start", "status": 204, "headers": []})
                await answer.send({"type": "http.response.body", "body": b""})
            elif scope["type"] == "http":
                largest = self._largest_body(path)
                body = RequestBody(receive, _headers(scope), self._settings, largest)
                _as_get(scope)
                await self._app(scope, body.receive, answer.send)
            else:
                await self._app(scope, receive, answer.send)
        except ServiceError as error:
            await self._refuse(scope, receive, answer, error)
        except asyncio.CancelledError:
            # The service stops, and the time for what was begun is over.
            if answer.status or scope["type"] != "http":
                raise
            await self._refuse(scope, receive, answer, draining())
        finally:
            self._log.end(entry, answer.status, answer.sent_bytes)

    def _without_prefix(self, scope: Scope) -> Scope:
        """A copy of the scope, its path as the application knows it: a proxy may leave the prefix
        where it is, or take it away.
        """
        path = str(scope["path"])
        prefix = self._settings.root_path
        if prefix and (path == prefix or path.startswith(f"{prefix}/")):
            path = path[len(prefix) :] or "/"
        return {**scope, "path": path}

    def _client(self, scope: Scope) -> str:
        forwarded = []
        if self._settings.trust_proxy:
            # One line, or one of each proxy.
            forwarded = [
                bytes(value).decode("latin-1")
                for name, value in scope.get("headers", [])
                if name.lower() == b"x-forwarded-for"
            ]
        address = scope.get("client")
        return client_address(str(address[0]) if address else None, forwarded)

    def _check(self, scope: Scope, client: str) -> None:
        """Refuse who may not come in."""
        self._check_origin(scope)
        path = path_of(scope)
        is_open = path in OPEN_PATHS or path.startswith(OPEN_FOLDER) or _is_preflight(scope)
        if is_open and scope["type"] == "http":
            return
        # Before the token is looked at, so that nobody guesses quickly.
        wait_s = self._rate.take(client)
        if wait_s > 0:
            raise ServiceError(429, "too_fast", "too many requests a second", wait_s)
        if not (token_is_right(_token_of(scope), self._settings) or self._has_session(scope)):
            raise ServiceError(401, "no_token", "a token is needed: Authorization: Bearer TOKEN")

    def _has_session(self, scope: Scope) -> bool:
        for part in _header(scope, b"cookie").split(";"):
            name, _, value = part.strip().partition("=")
            if name == COOKIE:
                return hmac.compare_digest(value.encode(), session_value(self._settings).encode())
        return False

    def _cross_origin(self, scope: Scope) -> dict[str, str]:
        """Headers of an answer to a page of another origin."""
        allowed = self._settings.cors_origins
        if not allowed or scope["type"] != "http":
            return {}
        # The answer depends on who asks: caches must know.
        headers = {"vary": "origin"}
        origin = _header(scope, b"origin")
        if origin and may_use(origin, allowed):
            headers.update(answer_headers(origin, preflight=_is_preflight(scope)))
        return headers

    def _check_origin(self, scope: Scope) -> None:
        """Pages of other origins may not use the service through their visitors' browsers."""
        host = _header(scope, b"host")
        if self._settings.trust_proxy:
            host = _header(scope, b"x-forwarded-host") or host
        origin = _header(scope, b"origin")
        is_other = bool(origin) and urlsplit(origin).netloc.lower() != host.lower()
        if is_other and not may_use(origin, self._settings.cors_origins):
            raise ServiceError(
                403,
                "origin",
                "requests of pages from other origins are refused: --cors-origin lets some in; for"
                " the service's own page, a proxy in front must pass on the header Host",
            )
        # A name that somebody made point to this machine is an origin of its own.
        settings = self._settings
        local = settings.is_loopback and settings.token is None and settings.uds is None
        if local and host and not self._settings.trust_proxy:
            name = (urlsplit(f"//{host}").hostname or "").lower()
            if name not in LOOPBACK and not name.startswith("127."):
                raise ServiceError(
                    403,
                    "host",
                    "this service is for programs of its own machine: with a token, or behind a"
                    " proxy with --trust-proxy, it can be reached by other names",
                )

    def _largest_body(self, path: str) -> int:
        if path == "/v1/jobs":
            return self._settings.max_upload_bytes
        return self._settings.max_body_bytes

    async def _refuse(
        self, scope: Scope, receive: Receive, answer: _Answer, error: ServiceError
    ) -> None:
        if scope["type"] == "websocket":
            await receive()
            await answer.send({"type": "websocket.close", "code": 1008, "reason": error.code})
            return
        if answer.status:
            raise error  # half an answer is on its way: the connection ends
        # The rest of a body that is not wanted is not waited for.
        headers = {"content-type": "application/json", "connection": "close", **error.headers}
        body = to_json(error_json(path_of(scope), error.code, str(error))).encode()
        headers["content-length"] = str(len(body))
        raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        start = {"type": "http.response.start", "status": error.status, "headers": raw}
        await answer.send(start)
        await answer.send({"type": "http.response.body", "body": body})


def path_of(scope: Scope) -> str:
    """The path of a request as the routes have it, also where another application holds this one
    below a prefix.
    """
    path = str(scope["path"])
    prefix = str(scope.get("root_path", ""))
    return path[len(prefix) :] if prefix and path.startswith(f"{prefix}/") else path


def error_json(path: str, code: str, message: str) -> dict[str, Any]:
    """The body of an error: that of the inference protocol is a text."""
    if path.startswith("/v2"):
        return {"error": message}
    return {"error": {"code": code, "message": message}}


def _is_preflight(scope: Scope) -> bool:
    """Whether a browser asks what a page of another origin may send. It shows no token."""
    return (
        scope.get("method") == "OPTIONS"
        and bool(_header(scope, b"origin"))
        and bool(_header(scope, b"access-control-request-method"))
    )


def _as_get(scope: Scope) -> None:
    """HEAD is answered like GET; :class:`_Answer` leaves the body out."""
    if scope["method"] == "HEAD":
        scope["method"] = "GET"
        # Files are not read for it.
        scope["extensions"] = {**(scope.get("extensions") or {}), PATH_SEND: {}}


class _Answer:
    """Passes an answer on, with the headers that all have."""

    def __init__(self, scope: Scope, send: Send, request_id: str, more: dict[str, str]) -> None:
        self._more = more
        self.status = 0
        self.sent_bytes = 0
        self._path = path_of(scope)
        self._is_head = scope.get("method") == "HEAD"
        self._send = send
        self._id = request_id

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.start":
            self.status = int(message["status"])
            message = {**message, "headers": self._with_more(message.get("headers", []))}
        elif kind == "http.response.body" and self._is_head:
            message = {**message, "body": b""}
        elif kind == "http.response.body":
            self.sent_bytes += len(message.get("body", b""))
        elif kind == PATH_SEND and self._is_head:
            message = {"type": "http.response.body", "body": b""}
        elif kind == "websocket.accept":
            self.status = 101
        elif kind == "websocket.close" and not self.status:
            self.status = 403
        await self._send(message)

    def _with_more(self, given: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        headers = list(given)
        known = {name.lower() for name, _ in headers}
        more = {**SECURITY_HEADERS, "x-request-id": self._id, **self._more}
        if self._path.startswith(NO_STORE):
            more["cache-control"] = "no-store"
        elif self._path == "/" or self._path in PAGE_FILES or self._path.startswith(OPEN_FOLDER):
            # Else a browser may mix files of two versions.
            more["cache-control"] = "no-cache"
        for name, value in more.items():
            if name.encode() not in known:
                headers.append((name.encode(), value.encode()))
        return headers


def _token_of(scope: Scope) -> str:
    scheme, _, token = _header(scope, b"authorization").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    # Some servers leave the spaces between the names.
    for name in map(str.strip, scope.get("subprotocols", [])):
        if name.startswith(BEARER_PROTOCOL):
            coded = name[len(BEARER_PROTOCOL) :]
            try:
                return base64.urlsafe_b64decode(coded + "=" * (-len(coded) % 4)).decode()
            except (binascii.Error, ValueError):
                return ""
    return ""


def _header(scope: Scope, name: bytes) -> str:
    return _headers(scope).get(name, "")


def _headers(scope: Scope) -> dict[bytes, str]:
    """The first of each name, which is in lower case."""
    found: dict[bytes, str] = {}
    for name, value in scope.get("headers", []):
        found.setdefault(name.lower(), bytes(value).decode("latin-1"))
    return found
