"""Pages of other origins that may use the service from the browsers of their visitors (CORS)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rtmpose.errors import InputError

ANY = "*"
ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?")
USUAL_PORTS = {"http": ":80", "https": ":443"}
METHODS = "GET, HEAD, POST, DELETE"
REQUEST_HEADERS = (
    "accept, authorization, content-encoding, content-type, inference-header-content-length, range,"
    " x-request-id"
)
"""What pages may send. ``Authorization`` must be named: it is not part of ``*``."""
ANSWER_HEADERS = (
    "content-disposition, content-range, inference-header-content-length, retry-after, x-request-id"
)
"""What pages may read of an answer."""
PREFLIGHT_S = 600
"""A browser need not ask again for so long."""


def read_origins(origins: Sequence[str]) -> tuple[str, ...]:
    """Origins as browsers write them.

    Args:
        origins: Such as ``https://example.org`` or ``http://localhost:3000``, or ``*``.

    Raises:
        InputError: one is no origin.
    """
    return tuple(_origin(text) for text in origins)


def may_use(origin: str, allowed: Sequence[str]) -> bool:
    """Whether pages of an origin may use the service."""
    return ANY in allowed or origin.lower() in allowed


def answer_headers(origin: str, *, preflight: bool) -> dict[str, str]:
    """Headers that let pages of an origin read an answer; names in lower case.

    Args:
        origin: As the browser said.
        preflight: Whether it asks beforehand what it may send.
    """
    headers = {
        "access-control-allow-origin": origin,
        "access-control-expose-headers": ANSWER_HEADERS,
        # Elements such as <img> and <video> of that page, too.
        "cross-origin-resource-policy": "cross-origin",
    }
    if preflight:
        headers["access-control-allow-methods"] = METHODS
        headers["access-control-allow-headers"] = REQUEST_HEADERS
        headers["access-control-max-age"] = str(PREFLIGHT_S)
    return headers


def _origin(text: str) -> str:
    if text == ANY:
        return text
    found = ORIGIN.fullmatch(text.strip().rstrip("/").lower())
    if found is None:
        raise InputError(
            f"--cors-origin is scheme, name and port of a page, such as https://example.org or"
            f" http://localhost:3000, or * for all pages; not {text!r}"
        )
    scheme, host, port = found.groups()
    # Browsers leave out the port that the scheme has anyway.
    return f"{scheme}://{host}" + ("" if port == USUAL_PORTS.get(scheme) else port or "")
