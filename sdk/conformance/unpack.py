"""Write the images of the conformance cases as PPM files, which every language can read in a few
lines. Needs the standard library only: `python unpack.py FOLDER`.
"""

from __future__ import annotations

import struct
import sys
import zlib
from pathlib import Path

HERE = Path(__file__).parent
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def decode_png(data: bytes) -> tuple[int, int, bytes]:
    """Width, height and RGB bytes of an 8-bit RGB image that is not interlaced.

    Raises:
        ValueError: the image is of another kind.
    """
    if not data.startswith(SIGNATURE):
        raise ValueError("not a PNG image")

    # The header and the joined pixel data.
    position = len(SIGNATURE)
    header = b""
    packed = b""
    while position < len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        body = data[position + 8 : position + 8 + length]
        if kind == b"IHDR":
            header = body
        elif kind == b"IDAT":
            packed += body
        position += 12 + length
    width, height, depth, color, _, _, interlace = struct.unpack(">IIBBBBB", header)
    if (depth, color, interlace) != (8, 2, 0):
        raise ValueError("only 8-bit RGB images without interlacing are read")

    # Row by row; each is stored as differences to its neighbors.
    lines = zlib.decompress(packed)
    size = 3 * width
    above = bytearray(size)
    rows = []
    for y in range(height):
        start = y * (size + 1)
        row = bytearray(lines[start + 1 : start + 1 + size])
        _undo_filter(lines[start], row, above)
        rows.append(bytes(row))
        above = row
    return width, height, b"".join(rows)


def _undo_filter(kind: int, row: bytearray, above: bytearray) -> None:
    """Differences to pixels, in place."""
    for i, value in enumerate(row):
        left = row[i - 3] if i >= 3 else 0
        corner = above[i - 3] if i >= 3 else 0
        up = above[i]
        if kind == 0:
            return
        if kind == 1:
            guess = left
        elif kind == 2:
            guess = up
        elif kind == 3:
            guess = (left + up) // 2
        else:
            guess = _nearest(left, up, corner)
        row[i] = (value + guess) & 255


def _nearest(left: int, up: int, corner: int) -> int:
    """The neighbor closest to left + up - corner."""
    base = left + up - corner
    return min((left, up, corner), key=lambda value: abs(base - value))


def unpack(folder: Path) -> list[Path]:
    """Write every image of this folder into another one.

    Returns:
        The written files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for source in sorted((HERE / "images").glob("*.png")):
        width, height, pixels = decode_png(source.read_bytes())
        target = folder / f"{source.stem}.ppm"
        target.write_bytes(b"P6\n%d %d\n255\n" % (width, height) + pixels)
        written.append(target)
    return written


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python unpack.py FOLDER")
    print(f"{len(unpack(Path(sys.argv[1])))} images in {sys.argv[1]}")
