"""What a name stands for: image, video, camera or stream, by content where there is one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from rtmpose.sources.images import looks_like_image

Kind = Literal["image", "video", "camera", "stream", "array", "sequence", "animation"]

IMAGE_SUFFIXES = frozenset(
    {
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".mpo",
        ".png",
        ".apng",
        ".bmp",
        ".dib",
        ".webp",
        ".tif",
        ".tiff",
        ".jp2",
        ".j2k",
        ".pbm",
        ".pgm",
        ".ppm",
        ".pnm",
        ".gif",
        ".avif",
        ".heic",
        ".heif",
        ".hif",
    }
)
# fmt: off
VIDEO_SUFFIXES = frozenset({
    # MP4, QuickTime and their kin; Matroska; AVI; Windows Media; Flash; Ogg.
    ".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".f4v", ".mkv", ".webm",
    ".avi", ".divx", ".wmv", ".asf", ".flv", ".ogv",
    # MPEG streams of discs, broadcasts and camcorders.
    ".mpg", ".mpeg", ".m2v", ".vob", ".ts", ".mts", ".m2ts", ".m2t", ".mod", ".tod",
    # Professional containers.
    ".mxf", ".dv", ".gxf", ".nut",
    # Coded frames without a container, and frames that are not coded.
    ".mjpg", ".mjpeg", ".h264", ".264", ".avc", ".h265", ".265", ".hevc", ".ivf", ".obu", ".y4m",
})
# fmt: on
JPEGS_IN_A_ROW = frozenset({".mjpg", ".mjpeg"})
"""Suffixes of videos that begin like an image."""

STREAM_SCHEMES = "rtsps?|rtmps?|rtmpe|rtmpt|srt|rist|rtp|udp|tcp|tls|mmsh?|ftp|https?"
HEAD_BYTES = 1024
TS_PACKET = 188
TS_SYNC = 0x47


def is_url(name: str) -> bool:
    """Whether a name is an address of a kind that is read."""
    return re.match(rf"({STREAM_SCHEMES})://", name, re.IGNORECASE) is not None


def is_camera_device(name: str | Path) -> bool:
    """Whether a name is the device file of a camera."""
    return re.fullmatch(r"/dev/(video\d+|v4l/.+)", str(name)) is not None


def kind_of_url(name: str) -> Kind:
    """Image, video or stream: by the suffix, else by what the server says. A video has an end."""
    suffix = Path(name.split("?")[0]).suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return "image"
    scheme = name.split(":")[0].lower()
    if scheme == "ftp":
        return "video"
    if scheme not in ("http", "https"):
        return "stream"

    # Here, as the modules of servers take a moment to load.
    from rtmpose.errors import InputError
    from rtmpose.sources.remote import ask, content_of

    is_file = suffix in VIDEO_SUFFIXES - JPEGS_IN_A_ROW
    try:
        return content_of(name, ask(name), file_suffix=is_file)
    except InputError:
        # Whoever opens it says what is wrong.
        return "video" if is_file else "stream"


def kind_of_file(path: Path) -> Kind:
    """Image or video: by the first bytes, else by the suffix, else by trying. What is neither is
    left to the image reader to name.
    """
    # A suffix may lie; the first bytes do not.
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError:
        head = b""
    suffix = path.suffix.lower()
    if looks_like_image(head) and suffix not in JPEGS_IN_A_ROW:
        return "image"
    if suffix in VIDEO_SUFFIXES or looks_like_video(head):
        return "video"
    if suffix in IMAGE_SUFFIXES or not _is_binary(head):
        return "image"

    # Here, as FFmpeg takes a moment to load.
    from rtmpose.sources.containers import is_video_file

    return "video" if is_video_file(path) else "image"


def looks_like_video(head: bytes) -> bool:
    """Whether the first bytes of a file (1,024 are enough) are those of a common video format."""
    return (
        # AVI, MP4 and QuickTime, Matroska and WebM, FLV.
        (head[:4] == b"RIFF" and head[8:11] == b"AVI")
        or head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide")
        or head[:4] == b"\x1aE\xdf\xa3"
        or head[:3] == b"FLV"
        # MXF, Windows Media, uncompressed frames, IVF.
        or head[:4] in (b"\x06\x0e+4", b"0&\xb2u", b"YUV4", b"DKIF")
        # MPEG program streams and video; H.264 and H.265 begin with their parameters.
        or head[:4] in (b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3")
        or re.match(
            rb"\x00?\x00\x00\x01(\x67|\x27|\x09[\x10\x30\x50\x70\xf0]|[\x40\x42]\x01)", head
        )
        is not None
        or _is_transport_stream(head)
    )


def _is_transport_stream(head: bytes) -> bool:
    """Packets of 188 bytes, each with the sync byte; Blu-ray and AVCHD put four bytes before."""
    return any(
        len(head) > first + 2 * step and all(head[first + i * step] == TS_SYNC for i in range(3))
        for first, step in ((0, TS_PACKET), (4, TS_PACKET + 4))
    )


def _is_binary(head: bytes) -> bool:
    """Whether the bytes are something else than text."""
    return b"\0" in head or sum(byte > 127 for byte in head) * 4 > len(head) > 0
