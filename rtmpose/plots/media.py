"""The video of a page: within it or next to it, as the file is or made anew for browsers."""

from __future__ import annotations

import base64
import logging
import mimetypes
import os
import tempfile
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import quote

import av

from rtmpose.errors import InputError
from rtmpose.files import copy_file
from rtmpose.sources import SourceItem, expand_sources, open_frames, read_image
from rtmpose.sources.containers import opened_file
from rtmpose.types import Image
from rtmpose.writers.clip import Clip

log = logging.getLogger(__name__)

EMBED_BYTES = 30_000_000
"""Largest video that is put into a page by itself."""
PLAYABLE = {
    (".mp4", "h264"), (".m4v", "h264"), (".mov", "h264"), (".mp4", "av1"), (".mp4", "vp9"),
    (".webm", "vp8"), (".webm", "vp9"), (".webm", "av1"),
}  # fmt: skip
"""Suffix and codec of what browsers play. Some builds of Chromium leave H.264 out."""
WEBM = {"deadline": "realtime", "cpu-used": "8", "crf": "33", "b": "0", "row-mt": "1"}
LONGEST_SIDE = 1280
"""Of a video that is made anew, in pixels."""


class Place(str, Enum):
    """Where the video goes."""

    auto = "auto"
    embed = "embed"
    link = "link"


@dataclass(frozen=True)
class Media:
    """What is behind the skeletons.

    Attributes:
        kind: ``video`` or ``image``.
        url: A data URL, or a path relative to the page.
        about: Container and codec, for people.
        size_wh: Width and height in pixels.
        words: What was done, for people.
    """

    kind: str
    url: str
    about: str
    size_wh: tuple[int, int]
    words: str


def media_of(
    clip: Clip, video: Path | None, page: Path, *, place: Place = Place.auto, webm: bool = False
) -> Media | None:
    """What goes behind the skeletons of a clip; None where the source is not there.

    Args:
        clip: The results.
        video: The video or image; None takes the source of the results, if it is a file.
        page: Where the page will be.
        place: ``auto`` embeds up to :data:`EMBED_BYTES`.
        webm: Make a WebM of it even if browsers should play it as it is.

    Raises:
        InputError: the named file cannot be read.
        OutputError: the video next to the page cannot be written.
    """
    path = video or Path(clip.source)
    if not _is_file(path):
        if video is not None:
            raise InputError(f"there is no video at {video}")
        log.warning("%s is not there: the page shows skeletons alone", path)
        return None
    (item,) = expand_sources([str(path)])
    if item.still:
        return _image(path, read_image(path))
    about, size_wh, playable = _described(path)
    if webm or not playable:
        if not webm:
            log.warning("browsers do not play %s of %s: it is made anew as WebM", about, path)
        return _made_anew(item, clip, page, place)
    if _embeds(place, path.stat().st_size):
        kind = mimetypes.guess_type(path.name)[0] or "video/mp4"
        # Browsers take the QuickTime container as what it holds.
        kind = "video/mp4" if path.suffix.lower() in (".mov", ".m4v") else kind
        words = f"the video is in the page ({path.stat().st_size / 1e6:.1f} MB)"
        return Media("video", data_url(path.read_bytes(), kind), about, size_wh, words)
    url = _relative(path, page)
    return Media("video", url, about, size_wh, f"the page links to {url}: keep both together")


def data_url(content: bytes, kind: str) -> str:
    """Bytes as a URL that holds them."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _described(path: Path) -> tuple[str, tuple[int, int], bool]:
    """Container and codec in words, size as it is shown, and whether browsers play it."""
    with opened_file(path, str(path)) as video:
        codec = video.stream.codec_context.name
        codec = {"libvpx": "vp8", "libvpx-vp9": "vp9", "libdav1d": "av1"}.get(codec, codec)
        depth = video.stream.codec_context.pix_fmt or ""
    (item,) = expand_sources([str(path)], limit=1)
    frame = next(open_frames(item))
    height, width = frame.image.shape[:2]
    suffix = path.suffix.lower()
    playable = (suffix, codec) in PLAYABLE and depth in ("yuv420p", "yuvj420p")
    return f"{suffix.removeprefix('.')}, {codec}", (width, height), playable


def _image(path: Path, image: Image) -> Media:
    import cv2

    _, content = cv2.imencode(".jpg", image)
    height, width = image.shape[:2]
    url = data_url(content.tobytes(), "image/jpeg")
    return Media("image", url, path.suffix, (width, height), "the image is in the page")


def _made_anew(item: SourceItem, clip: Clip, page: Path, place: Place) -> Media:
    """A WebM of the frames that results were made of, with their times."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "made.webm"
        size_wh = write_webm(item, made, clip.rate)
        size = made.stat().st_size
        if _embeds(place, size):
            words = f"the video was made anew as WebM and is in the page ({size / 1e6:.1f} MB)"
            url = data_url(made.read_bytes(), "video/webm")
            return Media("video", url, "webm, vp9", size_wh, words)
        target = page.with_suffix(".webm")
        if target.resolve() == item.path.resolve():
            target = page.with_name(f"{page.stem}_page.webm")
        copy_file(made, target)
    words = f"the video was made anew as {target}: keep it next to the page"
    return Media("video", quote(target.name), "webm, vp9", size_wh, words)


def write_webm(item: SourceItem, path: Path, rate: float) -> tuple[int, int]:
    """Write the frames of a source as VP9; width and height of the source.

    Long sides are at most :data:`LONGEST_SIDE` pixels; times are those of the frames.
    """
    import cv2

    size_wh = (0, 0)
    clock = Fraction(1, 1000)
    with av.open(str(path), "w", format="webm") as file:
        stream: Any = None
        last = -1
        for frame in open_frames(item):
            height, width = frame.image.shape[:2]
            if stream is None:
                size_wh = (width, height)
                zoom = min(1.0, LONGEST_SIDE / max(width, height))
                # VP9 takes even sizes only, in this pixel format.
                small = (max(round(width * zoom / 2) * 2, 2), max(round(height * zoom / 2) * 2, 2))
                stream = file.add_stream("libvpx-vp9", rate=Fraction(rate).limit_denominator(1001))
                stream.width, stream.height = small
                stream.pix_fmt = "yuv420p"
                stream.options = WEBM
                stream.codec_context.time_base = clock
            image = cv2.resize(frame.image, small, interpolation=cv2.INTER_AREA)
            picture = av.VideoFrame.from_ndarray(image, format="bgr24")
            # Each frame has a time of its own, after the one before.
            last = max(round(frame.time_s * 1000), last + 1)
            picture.pts, picture.time_base = last, clock
            file.mux(stream.encode(picture))
        if stream is None:
            raise InputError(f"{item.name} has no frame")
        file.mux(stream.encode(None))
    return size_wh


def _embeds(place: Place, size: int) -> bool:
    return place is Place.embed or (place is Place.auto and size <= EMBED_BYTES)


def _relative(path: Path, page: Path) -> str:
    """The path from the page to a file, as a URL."""
    try:
        relative = os.path.relpath(path.resolve(), page.resolve().parent)
    except ValueError:
        # Another drive.
        return path.resolve().as_uri()
    return quote(Path(relative).as_posix())


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
