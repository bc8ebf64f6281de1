"""What becomes of a drawn image: a file, a window, a picture in a notebook."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import cv2

from rtmpose.errors import InputError, MissingDependencyError, OutputError
from rtmpose.files import write_bytes
from rtmpose.shown_names import utf8_name
from rtmpose.types import Image


def save(path: str | Path, image: Image) -> Path:
    """Write an image; the suffix of the path says the format.

    Args:
        path: Such as ``drawn.jpg`` or ``drawn.png``.
        image: BGR uint8 ``(H, W, 3)``.

    Raises:
        InputError: the suffix is of no format of images.
        OutputError: it cannot be written, or the format does not hold images of that size.
    """
    path = Path(path)
    try:
        good, data = cv2.imencode(utf8_name(path.suffix) or ".", image)
    except cv2.error as error:
        raise InputError(
            f"{path} has no suffix of an image format, such as .jpg or .png"
        ) from error
    if not good:
        raise OutputError(
            f"{path} cannot be encoded: the format does not hold {image.shape[1::-1]}"
        )
    write_bytes(path, data.tobytes())
    return path


def png(image: Image) -> bytes:
    """The image as a PNG file."""
    return cv2.imencode(".png", image)[1].tobytes()


def show(image: Image) -> None:
    """Open the image in this machine's viewer; in a notebook, show it below the cell.

    Raises:
        MissingDependencyError: Pillow is not installed.
    """
    # The machine that computes for a notebook often has no screen, or another one than the user's.
    if _is_notebook():
        display = importlib.import_module("IPython.display")
        display.display(display.Image(data=png(image)))
        return
    try:
        from PIL import Image as PillowImage
    except ImportError as error:
        raise MissingDependencyError("showing an image needs Pillow: pip install pillow") from error
    PillowImage.fromarray(image[..., ::-1].copy()).show()


def _is_notebook() -> bool:
    """Whether this is the kernel of a notebook: Jupyter, Colab, VS Code."""
    loaded = sys.modules.get("IPython")
    shell = getattr(loaded, "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None
