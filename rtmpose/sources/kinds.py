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
VIDEO_SUFFIXES = frozenset(
    {
        ".mp4",
        ".avi",
        ".mov",
        ".mkv",
        ".webm",
        ".m4v",
        ".mpg",
        ".mpeg",
        ".wmv",
        ".flv",
        ".ts",
        ".3gp",
        ".mjpg",
        ".mjpeg",
    }
)


def is_url(name: str) -> bool:
    """Whether a name is an address of a kind that is read."""
    return re.match(r"(rtsps?|rtmp|udp|tcp|https?)://", name) is not None


def kind_of_url(name: str) -> Kind:
    """Image or stream, by the suffix of the path."""
    suffix = Path(name.split("?")[0]).suffix.lower()
    return "image" if suffix in IMAGE_SUFFIXES else "stream"


def kind_of_file(path: Path) -> Kind:
    """Image or video: by the first bytes, else by the suffix; what is neither is left to the image
    reader to name.
    """
    # A suffix may lie; the first bytes do not.
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError:
        head = b""
    is_video = not looks_like_image(head) and (
        path.suffix.lower() in VIDEO_SUFFIXES or _looks_like_video(head)
    )
    return "video" if is_video else "image"


def _looks_like_video(head: bytes) -> bool:
    # AVI, MP4/MOV, Matroska/WebM, FLV.
    return (
        (head[:4] == b"RIFF" and head[8:11] == b"AVI")
        or head[4:8] == b"ftyp"
        or head[:4] == b"\x1aE\xdf\xa3"
        or head[:3] == b"FLV"
    )
