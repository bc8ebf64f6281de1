"""Images in the forms that people have them, as BGR uint8 ``(H, W, 3)``.

Taken are arrays, PIL images, paths, and image files as bytes or opened. What would have to be
guessed (the range of float and 16-bit values, the layout of tensors) is refused with the line that
converts it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypedDict

import cv2
import numpy as np

from rtmpose.array_checks import check_image
from rtmpose.errors import InputError
from rtmpose.ranges import FRAMES, SECONDS, check_choice, check_flag, check_number, check_optional
from rtmpose.shown_names import shown_name
from rtmpose.sources import SourceItem, decode_image, read_image
from rtmpose.sources.images import looks_like_image
from rtmpose.sources.kinds import HEAD_BYTES, looks_like_video
from rtmpose.types import Frame, Image

COLORS = ("bgr", "rgb")
FPS = 30.0
"""Of frames that come without times."""
TENSOR_HINT = (
    "a torch tensor is no image: tensor.permute(1, 2, 0).mul(255).byte().cpu().numpy() makes an"
    " array of one with shape (3, H, W) and values 0..1; give it with color='rgb'"
)


def as_image(image: object, color: str = "bgr") -> Image:
    """An image, whatever form it has.

    Args:
        image: An array ``(H, W, 3)``, gray ``(H, W)`` or ``(H, W, 1)``, or with transparency
            ``(H, W, 4)``, of uint8; a PIL image; the path of a file; its bytes; or the file opened
            for reading bytes.
        color: Order of the channels of arrays: ``bgr`` or ``rgb``. Files and PIL images say it
            themselves.

    Raises:
        InputError: it is something else; the message says how to convert.
    """
    check_choice("color", color, COLORS)
    if isinstance(image, np.ndarray):
        return _from_array(image, color)
    if isinstance(image, str | Path):
        return read_image(image)
    if isinstance(image, bytes | bytearray | memoryview):
        return _from_bytes(bytes(image), "the bytes of an image")
    if _is_open_file(image):
        return _from_open_file(image)
    if _is_of(image, "PIL"):
        return _from_pil(image)
    if _is_of(image, "torch"):
        raise InputError(TENSOR_HINT)
    if is_frames(image):
        raise InputError(
            f"{type(image).__name__} gives many frames: give it to rtmpose.predict, rtmpose.track"
            " or Pipeline.run"
        )
    return check_image(image)


def is_frames(source: object) -> bool:
    """Whether it gives one frame after another: an iterator, or a ``cv2.VideoCapture``. An opened
    file gives lines, and is none.
    """
    return isinstance(source, Iterator | cv2.VideoCapture) and not _is_open_file(source)


class Selection(TypedDict):
    """Which frames are taken of a source; see :func:`rtmpose.sources.expand_sources`."""

    start_s: float
    end_s: float | None
    limit: int | None
    flip: bool


def checked_selection(
    start_s: float, end_s: float | None, limit: int | None, flip: bool
) -> Selection:
    """Which frames are taken.

    Raises:
        InputError: a number is out of its range.
    """
    check_number("start_s", start_s, SECONDS)
    check_optional("end_s", end_s, SECONDS)
    check_optional("limit", limit, FRAMES)
    check_flag("flip", flip)
    return {"start_s": start_s, "end_s": end_s, "limit": limit, "flip": flip}


ALL = checked_selection(0.0, None, None, False)


def as_sources(source: object, color: str = "bgr", selection: Selection = ALL) -> list[object]:
    """One source or several, as :func:`rtmpose.sources.expand_sources` takes them.

    Args:
        source: A name, an image in any form, an iterator of images, a ``cv2.VideoCapture``, or a
            list of those.
        color: Order of the channels of arrays.
        selection: Which frames are taken of iterators and captures.

    Raises:
        InputError: an image cannot be used.
    """
    several = source if isinstance(source, list | tuple) else [source]
    return [_as_source(one, number, color, selection) for number, one in enumerate(several)]


def _as_source(source: object, number: int, color: str, selection: Selection) -> object:
    # Names, numbers of cameras and items are for the sources to understand.
    if isinstance(source, str | Path | int | SourceItem):
        return source
    if is_frames(source):
        frames = _frames(source, number, color)
        return SourceItem(f"frames-{number}", "video", frames=frames, **selection)
    if isinstance(source, np.ndarray | bytes | bytearray | memoryview):
        return as_image(source, color)
    is_image = _is_open_file(source) or _is_of(source, "PIL") or _is_of(source, "torch")
    return as_image(source) if is_image else source


def _frames(source: Any, number: int, color: str) -> Iterator[Frame]:
    """The frames of an iterator, or what is left of a capture."""
    name = f"frames-{number}"
    images = _captured(source) if isinstance(source, cv2.VideoCapture) else source
    for index, image in enumerate(images):
        if isinstance(image, Frame):
            yield image
        else:
            yield Frame(as_image(image, color), index, index / FPS, name)


def _captured(capture: cv2.VideoCapture) -> Iterator[Frame]:
    """Frames of an opened capture, with its own times where it has them."""
    if not capture.isOpened():
        raise InputError("the cv2.VideoCapture is not opened: is its file or camera there?")
    fps = capture.get(cv2.CAP_PROP_FPS)
    step = 1 / fps if 0 < fps < 1000 else 1 / FPS
    index = 0
    while True:
        good, image = capture.read()
        if not good or image is None:
            return
        yield Frame(as_image(image), index, index * step, "capture")
        index += 1


def _from_array(image: np.ndarray[Any, Any], color: str) -> Image:
    # By far the most frequent case.
    if image.ndim == 3 and image.shape[2] == 3 and image.dtype == np.uint8 and image.size:
        return image if color == "bgr" else np.ascontiguousarray(image[..., ::-1])
    _refuse_values(image)
    if image.size and image.ndim == 2:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), np.uint8)
    if image.size and image.ndim == 3 and image.shape[2] == 1:
        return np.repeat(image, 3, axis=2)
    if image.size and image.ndim == 3 and image.shape[2] == 4:
        opaque = image[..., :3] if color == "bgr" else image[..., 2::-1]
        return np.ascontiguousarray(opaque)
    if image.ndim == 3 and image.shape[0] in (1, 3):
        raise InputError(
            f"an image must have shape (H, W, 3), not {image.shape}: np.moveaxis(image, 0, -1)"
            " brings the channels to the end"
        )
    return check_image(image)


def _refuse_values(image: np.ndarray[Any, Any]) -> None:
    """Refuse values that are not 0..255, with what makes them so."""
    if image.dtype == np.uint8:
        return
    if image.dtype.kind == "f":
        hint = "(image * 255).clip(0, 255).astype('uint8') if its values are 0..1"
    elif image.dtype == np.uint16:
        hint = "(image >> 8).astype('uint8') if it uses all 16 bits"
    elif image.dtype.kind == "b":
        hint = "image.astype('uint8') * 255"
    else:
        hint = "image.clip(0, 255).astype('uint8') if its values are 0..255"
    raise InputError(f"an image must hold uint8 values 0..255, not {image.dtype}: {hint}")


def _is_open_file(source: object) -> bool:
    """Whether bytes can be read from it: an opened file, ``BytesIO``, an upload of a web page."""
    is_capture = isinstance(source, cv2.VideoCapture)
    return not is_capture and callable(getattr(source, "read", None))


def _from_open_file(file: Any) -> Image:
    name = getattr(file, "name", None)
    shown = shown_name(name) if isinstance(name, str) and name else type(file).__name__
    try:
        data = file.read()
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise InputError(
            f"{shown} cannot be read ({error}): open the file with open(path, 'rb')"
        ) from error
    if not isinstance(data, bytes | bytearray | memoryview):
        raise InputError(
            f"{shown} gives {type(data).__name__}, not bytes: open the file with open(path, 'rb')"
        )
    if not len(data):
        raise InputError(
            f"{shown} is empty, or was read to its end before: .seek(0) goes to its start"
        )
    return _from_bytes(bytes(data), shown)


def _from_bytes(data: bytes, name: str) -> Image:
    if looks_like_video(data[:HEAD_BYTES]) and not looks_like_image(data[:HEAD_BYTES]):
        raise InputError(
            f"{name}: this is a video, not an image; write it to a file and give its path to"
            " rtmpose.predict or rtmpose.track"
        )
    return decode_image(data, name)


def _from_pil(image: Any) -> Image:
    """A PIL image, upright like files."""
    from PIL import ImageOps

    if not hasattr(image, "convert"):
        raise InputError(f"an image must be a PIL image, not {type(image).__name__}")
    if image.mode.startswith(("I", "F")):
        raise InputError(
            f"a PIL image of mode {image.mode} has no values 0..255: convert it, such as"
            " image.convert('L') after scaling"
        )
    rgb = np.asarray(ImageOps.exif_transpose(image).convert("RGB"), np.uint8)
    return check_image(np.ascontiguousarray(rgb[..., ::-1]))


def _is_of(value: object, package: str) -> bool:
    """Whether a value is of a package, which is not imported for that."""
    return any(c.__module__.partition(".")[0] == package for c in type(value).__mro__)
