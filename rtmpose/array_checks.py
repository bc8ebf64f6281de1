"""Arrays that a user gives: images, boxes, scores, keypoints. What cannot be used is refused in a
line that says how to convert it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rtmpose.errors import InputError

FloatArray = NDArray[np.float32]

FARTHEST = 1e6
"""Coordinates beyond this, in pixels, lie in no image."""
FARTHEST_FOUND = 1e9
"""The same for boxes that were found, which may have grown."""


# ---- images


def check_image(image: object) -> NDArray[np.uint8]:
    """Return the image if it is BGR uint8 ``(H, W, 3)`` and not empty.

    Raises:
        InputError: it is something else; the message says how to convert.
    """
    if isinstance(image, str | Path):
        raise InputError(
            f"an image must be a numpy array, not a path: read it with"
            f" rtmpose.read_image({str(image)!r}), or give the path to rtmpose.predict"
        )
    if not isinstance(image, np.ndarray):
        why = ": cv2.imread returns None for a file that it cannot read" if image is None else ""
        raise InputError(
            "an image must be a numpy array (H, W, 3) of BGR uint8, not"
            f" {type(image).__name__}{why}"
        )
    if image.ndim != 3 or image.shape[2] != 3:
        hint = {
            2: "for gray images use cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)",
            3: "for BGRA images use cv2.cvtColor(image, cv2.COLOR_BGRA2BGR)",
            4: "give the images of a batch one at a time, or as a list",
        }
        raise InputError(
            f"an image must have shape (H, W, 3), not {image.shape};"
            f" {hint.get(image.ndim, 'give one image at a time')}"
        )
    if image.dtype != np.uint8:
        raise InputError(
            f"an image must hold uint8 values 0..255, not {image.dtype}; scale and convert it first"
        )
    if image.size == 0:
        raise InputError(f"an image must not be empty; this one has shape {image.shape}")
    return image


# ---- boxes


def check_boxes(boxes: ArrayLike) -> FloatArray:
    """Return boxes as ``(N, 4)`` float32 xyxy.

    Raises:
        InputError: the shape is wrong, a value is NaN, infinite or farther out than any image
            reaches, or a box has no positive width and height.
    """
    array = as_float32("boxes", boxes)
    if array.size == 0:
        return np.zeros((0, 4), np.float32)
    if array.ndim == 1:
        array = array[None]
    if array.ndim != 2 or array.shape[1] != 4:
        raise InputError(
            f"boxes must have shape (N, 4), x1, y1, x2, y2 in image pixels; got {array.shape}"
        )
    check_box_values(array)
    flat = (array[:, 2:] <= array[:, :2]).any(axis=1)
    if flat.any():
        i = int(np.flatnonzero(flat)[0])
        raise InputError(
            f"box {i} has no positive width and height: {array[i].tolist()}; "
            "boxes are x1, y1, x2, y2 (corners), not x, y, width, height"
        )
    return array


def check_in_pixels(boxes: FloatArray, image: NDArray[np.uint8]) -> None:
    """Refuse boxes ``(N, 4)`` that are parts of the size of their image instead of pixels.

    Raises:
        InputError: a box lies in the first pixel of a larger image.
    """
    if max(image.shape[:2]) == 1:
        return
    small = (np.abs(boxes) <= 1).all(axis=1)
    if small.any():
        i = int(np.flatnonzero(small)[0])
        raise InputError(
            f"box {i} lies in the first pixel: {boxes[i].tolist()}; boxes are in image pixels:"
            " multiply x by the width of the image and y by its height"
        )


def check_box_values(boxes: FloatArray, farthest: float = FARTHEST) -> None:
    """Refuse boxes ``(N, 4)`` with NaN, infinity, or coordinates beyond ``farthest`` pixels.

    Raises:
        InputError: names the first of them.
    """
    # One pass decides for good boxes: NaN compares as false.
    if (np.abs(boxes) <= farthest).all():
        return
    bad = ~np.isfinite(boxes).all(axis=1)
    if bad.any():
        i = int(np.flatnonzero(bad)[0])
        raise InputError(f"box {i} holds NaN or infinity: {boxes[i].tolist()}")
    i = int(np.flatnonzero((np.abs(boxes) > farthest).any(axis=1))[0])
    raise InputError(
        f"box {i} lies in no image: {boxes[i].tolist()}; coordinates are pixels, at most"
        f" {farthest:,.0f}"
    )


# ---- arrays of the data types


def as_float32(name: str, values: ArrayLike) -> FloatArray:
    """Numbers as a float32 array; one that is so already is not copied.

    Raises:
        InputError: they are no numbers, or rows of different lengths.
    """
    if isinstance(values, np.ndarray) and values.dtype == np.float32:
        return values
    array = _numbers(name, values)
    with np.errstate(over="ignore"):  # infinity is refused where it matters
        return np.asarray(array, np.float32)


def as_int64(name: str, values: ArrayLike) -> NDArray[np.int64]:
    """Whole numbers as an int64 array; one that is so already is not copied.

    Raises:
        InputError: they are no numbers, or not whole.
    """
    if isinstance(values, np.ndarray) and values.dtype == np.int64:
        return values
    array = _numbers(name, values)
    with np.errstate(invalid="ignore"):
        whole = np.asarray(array, np.int64)
    if not np.array_equal(whole, array):
        raise InputError(f"{name} must be whole numbers, not {array.dtype}")
    return whole


def check_finite(name: str, values: FloatArray) -> None:
    """Refuse NaN and infinity.

    Raises:
        InputError: names the place of the first.
    """
    finite = np.isfinite(values)
    if finite.all():
        return
    place = tuple(int(i) for i in np.argwhere(~finite)[0])
    where = place[0] if len(place) == 1 else place
    raise InputError(f"{name} must be finite numbers; number {where} is {values[place]}")


def _numbers(name: str, values: ArrayLike) -> NDArray[np.generic]:
    try:
        array: NDArray[np.generic] = np.asarray(values)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{name} must be an array of numbers: {error}") from error
    # Empty lists are arrays of float64; booleans and texts are no numbers.
    if array.dtype.kind not in "iuf":
        raise InputError(f"{name} must be an array of numbers, not of {array.dtype}")
    return array
