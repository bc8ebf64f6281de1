"""Downloading one URL: resumed where the server allows; a dead host is noticed within seconds."""

from __future__ import annotations

import contextlib
import errno
import http.client
import json
import logging
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from typing import IO, Protocol
from urllib.parse import urlsplit

from rtmpose.errors import ModelError
from rtmpose.text_files import read_json

log = logging.getLogger(__name__)

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
ATTEMPTS = 3
BLOCK = 1 << 18

_dead_hosts: dict[str, str] = {}
"""Hosts that did not answer, with the reason: this process does not ask them again."""


class SourceError(Exception):
    """One source failed, and the next one may work; the text is the reason."""


class Progress(Protocol):
    """Called while a download runs."""

    def __call__(self, done: int, total: int | None) -> None:
        """Bytes received so far, and bytes in total or None where that is not known."""
        ...


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn a failed write of ``path`` into a ``ModelError`` that says what to do; another source
    would not help.
    """
    try:
        yield
    except OSError as error:
        # A full disk: the unfinished file goes, so that there is room again.
        if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            raise ModelError(
                f"the disk is full: cannot write {path}; free space or set RTMPOSE_HOME to another"
                " folder"
            ) from error
        raise ModelError(
            f"cannot write {path}: {error.strerror or error}; set RTMPOSE_HOME to a writable folder"
        ) from error


def download(url: str, part: Path, progress: Progress) -> None:
    """Download a URL into ``part``; an earlier attempt is resumed where the server allows.

    Next to ``part`` lies a note of the URL and the server's ETag or date, so that a resumed file is
    never a mixture of two versions (RFC 9110, section 14: Range with If-Range).

    Raises:
        SourceError: the host does not answer, or the download failed.
        ModelError: ``part`` cannot be written.
    """
    _check_host(url)
    for attempt in range(1, ATTEMPTS + 1):
        before = _size(part)
        try:
            _download_once(url, part, progress)
        except SourceError as error:
            # Worth another attempt only if the connection broke after some bytes had arrived.
            if attempt == ATTEMPTS or _size(part) <= before:
                raise
            log.info("%s: %s; resuming", url, error)
        else:
            _note_path(part).unlink(missing_ok=True)
            return


def _download_once(url: str, part: Path, progress: Progress) -> None:
    # Ask for the rest of an earlier attempt, if there is one.
    have, note = _resumable(url, part)
    headers = {"User-Agent": "rtmpose", "Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": note["validator"]}
    try:
        # A new opener reads the proxy settings again; urlopen keeps those of the process's first
        # request.
        request = urllib.request.Request(url, headers=headers)
        response = urllib.request.build_opener().open(request, timeout=READ_SECONDS)
    except urllib.error.HTTPError as error:
        error.close()
        # 416: the unfinished file does not fit the server's one any more; start again.
        if error.code == 416 and have:
            part.unlink(missing_ok=True)
            return _download_once(url, part, progress)
        raise SourceError(f"the server answered {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise SourceError(_reason(error)) from error

    with response:
        # A server may ignore the range and send the whole file.
        content_range = response.headers.get("Content-Range", "")
        resumed = response.status == 206 and content_range.startswith(f"bytes {have}-")
        have = have if resumed else 0

        # Compressed transfer was declined, so the length is that of the file.
        length = response.headers.get("Content-Length")
        total = have + int(length) if length and length.isdigit() else None
        note = {"url": url, "validator": _validator(response.headers)}
        with disk_errors(part), part.open("ab" if resumed else "wb") as out:
            _note_path(part).write_text(json.dumps(note))
            _copy(response, out, have, total, progress)
    return None


def _copy(
    response: http.client.HTTPResponse,
    out: IO[bytes],
    have: int,
    total: int | None,
    progress: Progress,
) -> None:
    """Append the response to ``out``, which has ``have`` of ``total`` bytes."""
    progress(have, total)
    while True:
        try:
            block = response.read(BLOCK)
        except (OSError, http.client.HTTPException) as error:
            raise SourceError(
                f"the connection broke after {have:,} bytes: {_reason(error)}"
            ) from error
        # An empty block is the end, or a connection that closed quietly.
        if not block:
            break
        out.write(block)
        have += len(block)
        progress(have, total)
    if total is not None and have != total:
        raise SourceError(f"the connection closed early, at {have:,} of {total:,} bytes")


def _resumable(url: str, part: Path) -> tuple[int, dict[str, str]]:
    """Bytes of that URL in ``part`` that can be continued, with their note; 0 where there are
    none.
    """
    try:
        # Only of the same URL, and only if the server can say whether it changed.
        note = read_json(_note_path(part))
        if note["url"] == url and note["validator"]:
            return _size(part), note
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return 0, {}


def _validator(headers: Message) -> str:
    """A strong ETag, else the date; If-Range allows no weak ETag."""
    tag = str(headers.get("ETag") or "")
    return tag if tag and not tag.startswith("W/") else str(headers.get("Last-Modified") or "")


def _check_host(url: str) -> None:
    """Fail within seconds, and only once, where a host does not answer; not behind a proxy."""
    # Behind a proxy the host itself need not be reachable.
    parts = urlsplit(url)
    host = parts.hostname or ""
    proxied = parts.scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(host)
    if proxied:
        return
    port = parts.port or (443 if parts.scheme == "https" else 80)
    key = f"{host}:{port}"
    if key in _dead_hosts:
        raise SourceError(f"{_dead_hosts[key]} (not asked again)")
    try:
        socket.create_connection((host, port), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        _dead_hosts[key] = f"no answer from the host: {_reason(error)}"
        raise SourceError(_dead_hosts[key]) from error


def _reason(error: BaseException) -> str:
    inner = getattr(error, "reason", None)
    # urllib wraps the cause.
    cause = inner if isinstance(inner, BaseException) else error
    if isinstance(cause, TimeoutError):
        return "timed out"
    return str(getattr(cause, "strerror", None) or cause) or type(cause).__name__


def _note_path(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
