"""Opening a file, video or stream for reading with any version of PyAV."""

from __future__ import annotations

from typing import IO, Any

import av

BROKEN_TEXT: dict[str, Any] = (
    {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
)
"""For titles and comments that are no UTF-8. PyAV 19 reads them by itself, and has no such
argument."""


def open_media(
    source: str | IO[bytes],
    options: dict[str, str] | None = None,
    timeout_s: float | None = None,
) -> Any:
    """A container of PyAV.

    Args:
        source: What FFmpeg calls it, or a file opened for reading bytes.
        options: FFmpeg's.
        timeout_s: Longest wait for the connection, and for each read; None for no limit.

    Raises:
        av.error.FFmpegError, OSError, ValueError: it cannot be opened.
    """
    return av.open(source, options=options or {}, timeout=timeout_s, **BROKEN_TEXT)
