"""How a video's frames are turned and mirrored for display: the display matrix of its container."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from rtmpose.types import Image

MATRIX = struct.Struct("=9i")


@dataclass(frozen=True)
class Orientation:
    """What is done to the stored pixels before they are shown, in this order.

    Attributes:
        transpose: Rows become columns.
        flip_x: Left and right change places.
        flip_y: Top and bottom change places.
    """

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False


AS_STORED = Orientation()


def orientation_of(matrix: bytes) -> Orientation:
    """The nearest of the 8 orientations that a display matrix stands for.

    Args:
        matrix: 9 integers of 32 bits in the machine's byte order, ``a b u c d v x y w``: a stored
            point (p, q) is shown at (a p + c q + x, b p + d q + y).
    """
    if len(matrix) < MATRIX.size:
        return AS_STORED
    a, b, _, c, d, *_ = MATRIX.unpack_from(matrix)

    # The larger pair decides, so that a matrix that is a little off still counts.
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Orientation(transpose=True, flip_x=c < 0, flip_y=b < 0)
    return Orientation(flip_x=a < 0, flip_y=d < 0)


def upright(image: Image, orientation: Orientation) -> Image:
    """The pixels as they are meant to be seen, contiguous; the same array where nothing changes.

    Args:
        image: ``(H, W, 3)`` as stored.
        orientation: From :func:`orientation_of`.
    """
    if orientation == AS_STORED:
        return image
    if orientation.transpose:
        image = image.transpose(1, 0, 2)
    if orientation.flip_x:
        image = image[:, ::-1]
    if orientation.flip_y:
        image = image[::-1]
    return np.ascontiguousarray(image)
