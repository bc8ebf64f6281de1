"""Addresses of HTTP servers: what lies there, and files that must be fetched before they can be
read.
"""

from __future__ import annotations

import base64
import logging
import shutil
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote, urlsplit, urlunsplit

from rtmpose.errors import InputError
from rtmpose.shown_names import without_password

if TYPE_CHECKING:
    from rtmpose.sources.containers import Video

log = logging.getLogger(__name__)

TIMEOUT_S = 10.0
HEAD_TIME_S = 20.0
HEAD_BYTES = 4096
PLAYLIST_BYTES = 1 << 20
COPY_NAME = "video"
FETCHED_KEPT = 4
"""Fetched files that are kept, as a video is opened more than once."""

Content = Literal["image", "video", "stream"]

# A broken connection goes on where it was; a server that stays away is an error.
RECONNECT = {"reconnect": "1", "reconnect_on_network_error": "1", "reconnect_delay_max": "4"}


@dataclass(frozen=True)
class Answer:
    """What a server says about an address.

    Attributes:
        content_type: Such as ``video/mp4``.
        length: Bytes in all; None where it does not say.
        ranges: Whether parts can be asked for.
        head: The first bytes.
        tag: Changes with the content, where the server says so.
    """

    content_type: str
    length: int | None
    ranges: bool
    head: bytes
    tag: str = ""


def ask(url: str) -> Answer:
    """Ask a server for the first bytes of what it has.

    Raises:
        InputError: it cannot be reached, or has nothing there.
    """
    with _requested(url, {"Range": f"bytes=0-{HEAD_BYTES - 1}"}) as response:
        content_type = response.headers.get_content_type()
        ranges = response.status == 206
        length = _length(response, ranges)

        # A live stream may take long to send so much.
        head = b""
        if not content_type.startswith("multipart/"):
            limit = PLAYLIST_BYTES if _is_playlist(content_type, url) else HEAD_BYTES
            until = time.monotonic() + HEAD_TIME_S
            while len(head) < limit and time.monotonic() < until:
                part = response.read1(limit - len(head))
                head += part
                if not part or (length is None and len(head) >= 16):
                    break
        tag = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
    return Answer(content_type, length, ranges, head, tag)


def content_of(url: str, answer: Answer, *, file_suffix: bool) -> Content:
    """Image, video or live stream: a video has an end.

    Args:
        url: The address.
        answer: Of its server.
        file_suffix: Whether the address ends like that of a video file.
    """
    head = answer.head
    if answer.content_type.startswith("image/"):
        return "image"
    if answer.content_type.startswith("multipart/"):
        return "stream"
    if head.startswith(b"#EXTM3U"):
        return _content_of_playlist(url, head)
    if answer.length is not None:
        return "video"

    # No length: formats with an index, or a header that says the duration, are files.
    is_file = head[4:8] == b"ftyp" or head[:4] in (b"\x1aE\xdf\xa3", b"RIFF")
    return "video" if is_file or file_suffix else "stream"


@contextmanager
def opened_remote(url: str) -> Iterator[Video]:
    """A video on a server, as :func:`rtmpose.sources.containers.opened_file` gives it.

    Where the index lies at the end and the server cannot give parts, the file is fetched to a
    temporary one first.

    Raises:
        InputError: it cannot be fetched or opened.
    """
    from rtmpose.sources.containers import opened_file, opened_url

    answer = ask(url)
    opened: AbstractContextManager[Video]
    if not answer.ranges and _index_is_last(answer.head):
        opened = opened_file(_fetched(url, answer), without_password(url))
    else:
        options = RECONNECT if answer.ranges else {"seekable": "0"}
        opened = opened_url(url, options, TIMEOUT_S, live=False)
    with opened as video:
        yield video


# ---- playlists and indices


def _is_playlist(content_type: str, url: str) -> bool:
    return "mpegurl" in content_type or url.split("?")[0].endswith((".m3u8", ".m3u"))


def _content_of_playlist(url: str, text: bytes) -> Content:
    """An HLS playlist with an end is a video; of several variants FFmpeg looks into one."""
    if b"#EXT-X-ENDLIST" in text:
        return "video"
    if b"#EXT-X-STREAM-INF" not in text:
        return "stream"
    from rtmpose.sources.containers import opened_url

    try:
        with opened_url(url, {}, TIMEOUT_S, live=False) as video:
            return "stream" if video.duration_s is None else "video"
    except InputError:
        return "stream"


def _index_is_last(head: bytes) -> bool:
    """Whether the data of an MP4 or MOV file come before their index."""
    at = 0
    while at + 8 <= len(head):
        size = int.from_bytes(head[at : at + 4], "big")
        kind = head[at + 4 : at + 8]
        if kind in (b"moov", b"mdat"):
            return kind == b"mdat"
        if size < 8 or not kind.isalnum():
            return False
        at += size
    return False


# ---- fetching


class _Fetched:
    """Temporary copies of files on servers; the oldest are removed, and all at the end."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.folders: OrderedDict[tuple[object, ...], tempfile.TemporaryDirectory[str]] = (
            OrderedDict()
        )


_copies = _Fetched()


def _fetched(url: str, answer: Answer) -> Path:
    """The path of a temporary copy."""
    key = (url, answer.length, answer.tag, answer.head)
    with _copies.lock:
        folders = _copies.folders
        if key not in folders:
            log.warning(
                "%s has its index at the end, and its server cannot give parts of it: it is fetched"
                " to a temporary file first",
                without_password(url),
            )
            folder = tempfile.TemporaryDirectory(prefix="rtmpose-", ignore_cleanup_errors=True)
            try:
                _fetch(url, answer.length, Path(folder.name) / COPY_NAME)
            except BaseException:
                folder.cleanup()
                raise
            folders[key] = folder
            if len(folders) > FETCHED_KEPT:
                folders.popitem(last=False)[1].cleanup()
        return Path(folders[key].name) / COPY_NAME


def _fetch(url: str, length: int | None, path: Path) -> None:
    with _requested(url, {}) as response:
        try:
            with path.open("wb") as copy:
                shutil.copyfileobj(response, copy, 1 << 20)
                got = copy.tell()
        except OSError as error:
            raise InputError(
                f"{without_password(url)} cannot be fetched to {path.parent}: {error}"
            ) from error
    if length is not None and got != length:
        raise InputError(f"{without_password(url)} broke off after {got} of {length} bytes")


@contextmanager
def _requested(url: str, headers: dict[str, str]) -> Iterator[Any]:
    """A server's response to a request.

    Raises:
        InputError: it cannot be reached, or refuses.
    """
    import http.client
    import urllib.error
    import urllib.request

    # The request itself checks the address.
    try:
        bare, login = _without_login(url)
        request = urllib.request.Request(bare, headers=headers)
        if login:  # not for where the server sends us
            request.add_unredirected_header("Authorization", login)
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
            yield response
    except (OSError, ValueError, http.client.HTTPException) as error:
        if isinstance(error, InputError):
            raise
        # A refusal has a body, and a connection that waits to be read.
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        raise InputError(f"{without_password(url)} cannot be fetched: {error}") from error


def _without_login(url: str) -> tuple[str, str]:
    """An address without user and password, and the header that has them; empty without any."""
    parts = urlsplit(url)
    login, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, ""
    encoded = base64.b64encode(unquote(login).encode()).decode()
    return urlunsplit(parts._replace(netloc=host)), f"Basic {encoded}"


def _length(response: Any, ranges: bool) -> int | None:
    """Bytes of the whole content."""
    text = response.headers.get("Content-Length", "")
    if ranges:
        text = response.headers.get("Content-Range", "").rpartition("/")[2]
    return int(text) if text.isdecimal() else None
