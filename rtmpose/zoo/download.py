"""Downloading one URL: resumed where the server allows; a dead host is noticed within seconds."""

from __future__ import annotations

import contextlib
import errno
import logging
import re
import socket
import urllib.request
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from rtmpose.errors import ModelError
from rtmpose.text_files import read_json, to_json
from rtmpose.web import (
    WebError,
    WebLimits,
    WebResponse,
    checked_url,
    limits_from_environment,
    open_url,
    reason_of,
)

log = logging.getLogger(__name__)

CONNECT_SECONDS = 5.0
TOTAL_SECONDS = 3 * 3600.0
LARGEST_FILE = 4 << 30
"""Bytes; ONNX files cannot have more than half of it."""
ATTEMPTS = 3
BLOCK = 1 << 18
NOT_ASKED_AGAIN = " (not asked again)"
"""Behind the reason of a host that did not answer before."""

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


def download(url: str, part: Path, progress: Progress) -> bool:
    """Download a URL into ``part``; an earlier attempt is resumed where the server allows.

    Next to ``part`` lies a note of the URL and the server's ETag or date, so that a resumed file is
    never a mixture of two versions (RFC 9110, section 14: Range with If-Range).

    Returns:
        Whether the server told the length, so that the file is known to be whole.

    Raises:
        SourceError: the host does not answer, is too slow, or the download failed.
        ModelError: ``part`` cannot be written.
    """
    try:
        url = checked_url(url)
        limits = limits_from_environment(TOTAL_SECONDS, LARGEST_FILE)
    except WebError as error:
        raise SourceError(str(error)) from error
    _check_host(url)
    for attempt in range(1, ATTEMPTS + 1):
        before = _size(part)
        try:
            whole = _download_once(url, part, limits, progress)
        except WebError as error:
            # Worth another attempt only if the connection broke after some bytes had arrived.
            if error.slow or attempt == ATTEMPTS or _size(part) <= before:
                raise SourceError(str(error)) from error
            log.info("%s: %s; resuming", url, error)
        else:
            _note_path(part).unlink(missing_ok=True)
            return whole
    raise AssertionError("the last attempt returns or raises")


def _download_once(url: str, part: Path, limits: WebLimits, progress: Progress) -> bool:
    # Ask for the rest of an earlier attempt, if there is one.
    have, note = _resumable(url, part)
    headers = {"User-Agent": "rtmpose", "Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": note["validator"]}
    try:
        with open_url(url, headers, limits) as response:
            fits = response.status == 200 or (have and _continues(response, have))
            if fits:
                return _save(response, url, part, have, progress)
            if not have:
                raise WebError(f"the server answered {response.status}, not with the whole file")
    except WebError as error:
        # 416: the unfinished file does not fit the server's one any more.
        if error.status != 416 or not have:
            raise

    # Start again without the unfinished file.
    part.unlink(missing_ok=True)
    return _download_once(url, part, limits, progress)


def _continues(response: WebResponse, have: int) -> bool:
    """Whether an answer is the rest of the file from that byte on."""
    content_range = str(response.headers.get("Content-Range") or "")
    match = re.fullmatch(r"bytes ([0-9]{1,15})-([0-9]{1,15})/([0-9]{1,15})", content_range.strip())
    if response.status != 206 or match is None:
        return False
    first, last, total = map(int, match.groups())
    fits = first == have and last == total - 1
    return fits and response.length in (None, total - have)


def _save(response: WebResponse, url: str, part: Path, have: int, progress: Progress) -> bool:
    """Write the body; a server may have ignored the range and send the whole file."""
    if response.encoding:
        raise WebError(f"the server compressed the file ({response.encoding}), which was declined")
    have = have if response.status == 206 else 0
    total = None if response.length is None else have + response.length
    note = {"url": url, "validator": _validator(response.headers)}
    with disk_errors(part), part.open("ab" if have else "wb") as out:
        _note_path(part).write_text(to_json(note))
        progress(have, total)
        for block in response.blocks():
            out.write(block)
            have += len(block)
            progress(have, total)
    return total is not None


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
        raise SourceError(f"{_dead_hosts[key]}{NOT_ASKED_AGAIN}")
    try:
        socket.create_connection((host, port), timeout=CONNECT_SECONDS).close()
    except (OSError, ValueError) as error:
        _dead_hosts[key] = f"no answer from the host: {reason_of(error)}"
        raise SourceError(_dead_hosts[key]) from error


def _note_path(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
