"""Opening videos and streams with FFmpeg (through PyAV), and what is known of them then."""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import av

from rtmpose.errors import InputError
from rtmpose.media_open import open_media
from rtmpose.media_threads import codec_threads
from rtmpose.shown_names import shown_name, without_password

FILE_PROTOCOLS = "file,crypto,data"
REFERRING_FORMATS = frozenset(
    {
        "applehttp",
        "concat",
        "concatf",
        "dash",
        "hls",
        "imf",
        "rtsp",
        "sap",
        "sdp",
        "webm_dash_manifest",
    }
)
"""Formats that name other files or servers."""
"""What a file may refer to: a playlist on the disk must not call servers."""
NOT_VIDEO = frozenset({"tty", "bin", "xbin", "adf", "idf", "image2", "image2pipe", "ass", "srt"})
"""FFmpeg reads text and single images as videos too."""

VIDEO_PAGES = frozenset(
    {
        "bilibili.com",
        "m.youtube.com",
        "vimeo.com",
        "www.bilibili.com",
        "www.tiktok.com",
        "www.twitch.tv",
        "www.youtube.com",
        "youtu.be",
        "youtube.com",
    }
)
"""Hosts whose addresses people give are pages with a player."""
MP4_BOXES = (b"ftyp", b"mdat", b"free", b"wide", b"skip")
"""What MP4 and QuickTime files begin with."""

_log_lock = threading.Lock()
_decoder_threads = 0


class Video:
    """An open container and its video stream.

    Attributes:
        container: PyAV's container.
        stream: The video stream that is read.
        name: Names it in messages, in letters that can be written.
    """

    def __init__(self, container: Any, stream: Any, name: str) -> None:
        self.container = container
        self.stream = stream
        self.name = name

    @property
    def fps(self) -> float | None:
        """Frames per second; None where unknown or absurd."""
        rate = self.stream.guessed_rate or self.stream.average_rate
        return float(rate) if rate and 0 < rate < 1000 else None

    @property
    def stated_frames(self) -> int | None:
        """The number of frames that the container states; None where it does not."""
        stated = self.stream.frames
        if not stated:
            text = self.stream.metadata.get("NUMBER_OF_FRAMES", "")
            stated = int(text) if text.isdecimal() else 0
        return stated if 0 < stated < 1e9 else None

    @property
    def duration_s(self) -> float | None:
        """Seconds from the start to the end of all that the container holds; None if unknown."""
        duration = self.container.duration
        return duration / av.time_base if duration and duration > 0 else None

    @property
    def start_s(self) -> float:
        """The stamp at which the container begins."""
        return (self.container.start_time or 0) / av.time_base


@contextmanager
def opened_file(
    source: str | Path | IO[bytes], name: str, *, alone: bool = False
) -> Iterator[Video]:
    """A video file, ready to be decoded by several threads; closed at the end.

    Args:
        source: A path, or an open file.
        name: Names it in messages.
        alone: Refuse formats that name other files, such as playlists.

    Raises:
        InputError: it is missing, empty, not a video, or too damaged to be opened.
    """
    options: dict[str, str] = {}
    if isinstance(source, str | Path):
        path = Path(source)
        if not path.exists():
            raise InputError(f"{shown_name(name)} does not exist")
        if not path.is_file():
            raise InputError(f"{shown_name(name)} is no file: a video must be one")
        if path.stat().st_size == 0:
            raise InputError(f"{shown_name(name)} is empty (0 bytes)")
        # With the prefix, a colon or a pattern in the name means nothing.
        source = f"file:{path}"
        options["protocol_whitelist"] = "file" if alone else FILE_PROTOCOLS
    if alone:
        options["format_whitelist"] = _formats_that_stand_alone()
    with _opened(source, shown_name(name), options) as video:
        video.stream.thread_type = "AUTO"
        codec = video.stream.codec_context
        codec.thread_count = _decoder_threads or codec_threads(codec.width * codec.height)
        yield video


def limit_decoder_threads(count: int) -> None:
    """Decode files with at most this many threads, in this process from now on; 0 takes as many as
    one process has use for (:mod:`rtmpose.media_threads`), which is too many where several share a
    machine.
    """
    global _decoder_threads
    _decoder_threads = count


@cache
def _formats_that_stand_alone() -> str:
    names = {part for name in av.formats_available for part in name.split(",")}
    return ",".join(sorted(names - REFERRING_FORMATS))


@contextmanager
def opened_url(
    url: str, options: Mapping[str, str], timeout_s: float, *, live: bool
) -> Iterator[Video]:
    """A video or stream of a server; closed at the end.

    Args:
        url: Its address.
        options: FFmpeg's.
        timeout_s: Longest wait for the connection, and for each read.
        live: Frames are wanted as soon as they come: none is held back for decoding in parallel.

    Raises:
        InputError: it cannot be opened.
    """
    with _opened(url, without_password(url), dict(options), timeout_s) as video:
        video.stream.thread_type = "SLICE" if live else "AUTO"
        yield video


@contextmanager
def _opened(
    source: str | IO[bytes], name: str, options: dict[str, str], timeout_s: float | None = None
) -> Iterator[Video]:
    local = timeout_s is None
    try:
        container = open_media(source, options, timeout_s)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        if getattr(error, "errno", None) in (errno.EMFILE, errno.ENFILE):
            raise InputError(
                f"{name} cannot be opened: too many files are open; read fewer sources at the same"
                " time, or raise the limit (ulimit -n)"
            ) from error
        reason = _reason(source, options) if local and isinstance(source, str) else ""
        # FFmpeg lists all formats that it would have taken.
        if "whitelist" in reason:
            reason = "its format names other files, or it uses them"
        raise InputError(open_refusal(name, error, reason, local=local)) from error
    try:
        yield Video(container, _video_stream(container, name), name)
    except av.error.FFmpegError as error:
        raise InputError(f"{name} cannot be read: {text_of(error)}") from error
    finally:
        container.close()


def text_of(error: Exception) -> str:
    """FFmpeg's words for an error, without the number and the name of the file."""
    if isinstance(error, av.error.ExitError):
        return "nothing came within the time limit"
    return str(getattr(error, "strerror", None) or error)


def _video_stream(container: Any, name: str) -> Any:
    """The stream to read: the best one that is no cover picture."""
    picture = av.stream.Disposition.attached_pic
    videos = [s for s in container.streams.video if not s.disposition & picture]
    kind = container.format.name
    if not videos or kind in NOT_VIDEO or kind.endswith("_pipe"):
        raise InputError(f"{name} holds no video")
    best = container.streams.best("video")
    stream = best if best in videos else videos[0]
    if stream.codec_context is None:
        raise InputError(f"{name} holds a video whose codec is not known")
    return stream


def open_refusal(name: str, error: Exception, reason: str, *, local: bool) -> str:
    """Why something cannot be opened, and what to do."""
    text = reason or text_of(error)
    if isinstance(error, av.error.ProtocolNotFoundError):
        scheme = name.split(":")[0]
        return (
            f"{name} cannot be opened: the installed PyAV was built without {scheme}://; let"
            " another program receive it and send it on, for example as udp://"
        )
    if not local:
        if urlsplit(name).hostname in VIDEO_PAGES:
            return (
                f"{name} is a page that shows a video, not the video: save it as a file first, for"
                " example with yt-dlp"
            )
        return f"{name} cannot be opened: {text}; is the address right and the stream up?"
    if "moov atom" in text:
        return (
            f"{name} cannot be opened: its index (moov atom) is missing; the recording was cut"
            " short before it was finished"
        )
    return f"{name} cannot be opened: it is not a video FFmpeg can read, or damaged ({text})"


def _reason(source: str, options: dict[str, str]) -> str:
    """What FFmpeg logs while it fails to open a file: often more than its error says."""
    # The level is global, so one thread at a time.
    with _log_lock, av.logging.Capture(local=True) as lines:
        level = av.logging.get_level()
        skips = av.logging.get_skip_repeated()
        av.logging.set_level(av.logging.ERROR)
        av.logging.set_skip_repeated(False)
        try:
            open_media(source, options).close()
        except (av.error.FFmpegError, OSError, ValueError):
            pass
        finally:
            av.logging.set_level(level)
            av.logging.set_skip_repeated(skips)
    reason = lines[-1][2].strip() if lines else ""
    # What is not MP4 at all has no index to miss.
    with Path(source.removeprefix("file:")).open("rb") as file:
        is_mp4 = file.read(8)[4:] in MP4_BOXES
    return "" if "moov atom" in reason and not is_mp4 else reason


def is_video_file(path: Path) -> bool:
    """Whether FFmpeg can open a file as a video, whatever its name."""
    try:
        with opened_file(path, str(path)):
            return True
    except InputError:
        return False
