"""Images of the conformance cases: what is pasted where. The same few lines exist in every
language, see README.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Recipe = dict[str, Any]

HERE = Path(__file__).parent
_photos: dict[str, Image] = {}


def compose(recipe: Recipe) -> Image:
    """The BGR image of a recipe."""
    image = np.zeros((recipe["height"], recipe["width"], 3), np.uint8)
    for part in recipe["parts"]:
        _paste(image, part)
    return image


def _paste(image: Image, part: dict[str, Any]) -> None:
    """One rectangle of a photo, each pixel repeated, as far as it lies on the image."""
    name = part["photo"]
    if name not in _photos:
        _photos[name] = np.asarray(cv2.imread(str(HERE / "images" / f"{name}.png")), np.uint8)
    x, y, width, height = part["from"]
    repeat = part["repeat"]
    piece = _photos[name][y : y + height, x : x + width]
    piece = piece.repeat(repeat, axis=0).repeat(repeat, axis=1)

    # Parts may reach past the border.
    left, top = part["to"]
    right = min(left + piece.shape[1], image.shape[1])
    bottom = min(top + piece.shape[0], image.shape[0])
    x0, y0 = max(left, 0), max(top, 0)
    if x0 < right and y0 < bottom:
        image[y0:bottom, x0:right] = piece[y0 - top : bottom - top, x0 - left : right - left]


def part(photo: str, source: list[int], to: tuple[int, int] = (0, 0), repeat: int = 1) -> Recipe:
    """One rectangle of a photo and the place of its corner."""
    return {"photo": photo, "from": source, "to": list(to), "repeat": repeat}


def canvas(width: int, height: int, *parts: Recipe) -> Recipe:
    """A black image with parts pasted on it, one after the other."""
    return {"width": width, "height": height, "parts": list(parts)}


def whole(photo: str, repeat: int = 1) -> Recipe:
    """A photo as it is, or with each pixel repeated."""
    image = cv2.imread(str(HERE / "images" / f"{photo}.png"))
    assert image is not None, photo
    height, width = image.shape[:2]
    return canvas(
        width * repeat, height * repeat, part(photo, [0, 0, width, height], repeat=repeat)
    )


# ---- clips, as lists of recipes


def pan(frames: int) -> list[Recipe]:
    """A window over a photo of four people, to the right and back: people leave and return."""
    recipes = []
    for i in range(frames):
        x = 10 * min(i, frames - i)
        recipes.append(canvas(400, 360, part("541055", [x, 0, 400, 360])))
    return recipes


def crossing(frames: int) -> list[Recipe]:
    """Two people walk towards each other, one before the other, and out of the image."""
    recipes = []
    for i in range(frames):
        back = part("252219_half", [244, 70, 76, 134], (420 - 12 * i, 40), 2)
        front = part("283520_half", [78, 52, 54, 140], (10 + 11 * i, 36), 2)
        recipes.append(canvas(560, 320, back, front))
    return recipes


def hidden(frames: int) -> list[Recipe]:
    """A photo gives way to grass for 6 and for 45 frames: people are remembered, or forgotten."""
    photo = whole("388056")
    grass = canvas(photo["width"], photo["height"], part("541055", [20, 10, 100, 40], repeat=9))
    return [grass if 8 <= i < 14 or 22 <= i < 67 else photo for i in range(frames)]
