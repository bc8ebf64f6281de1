"""The header of safetensors files, read and checked without the safetensors package.

A file is the length of its header (8 bytes, little endian), the header as JSON, and the tensors one
after the other. The header gives for each tensor its type, its shape and its place among them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtmpose.text_files import parse_json, to_json

LARGEST_HEADER = 100_000_000
"""Bytes, the limit of the format."""

_BITS = {
    "BOOL": 8,
    "U8": 8,
    "I8": 8,
    "F8_E4M3": 8,
    "F8_E5M2": 8,
    "F8_E8M0": 8,
    "I16": 16,
    "U16": 16,
    "F16": 16,
    "BF16": 16,
    "I32": 32,
    "U32": 32,
    "F32": 32,
    "I64": 64,
    "U64": 64,
    "F64": 64,
    "C64": 64,
}
"""Bits of one number of each type. Types that are not here are left to the library."""


@dataclass(frozen=True)
class SafetensorsHeader:
    """What a safetensors file says of itself.

    Attributes:
        metadata: Its text properties.
        tensors: Name of each tensor -> its type, shape and place.
        start: Byte at which the tensors begin.
    """

    metadata: Mapping[str, str]
    tensors: Mapping[str, Mapping[str, Any]]
    start: int


def read_safetensors_header(path: Path) -> SafetensorsHeader:
    """Read the header of a file, and check it against the file's size; no tensor is read.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not a whole safetensors file.
    """
    total = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if total < 8 or not 2 <= length <= LARGEST_HEADER:
            raise ValueError("it is not a safetensors file")
        if 8 + length > total:
            raise ValueError(
                f"its header should have {length:,} bytes, but the file has {total:,} in all"
            )
        text = file.read(length)
    content = parse_json(text, "its header")
    if not isinstance(content, dict):
        raise ValueError("its header is not a table")

    metadata = content.pop("__metadata__", {})
    _check_metadata(metadata)
    _check_tensors(content, total - 8 - length)
    return SafetensorsHeader(metadata, content, 8 + length)


def with_safetensors_metadata(path: Path, key: str, text: str) -> bytes:
    """The content of the file with this text property, in place of one of that name.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not a whole safetensors file.
    """
    header = read_safetensors_header(path)
    content = {"__metadata__": {**header.metadata, key: text}, **header.tensors}
    packed = to_json(content, separators=(",", ":")).encode()
    packed += b" " * (-len(packed) % 8)  # tensors begin at a multiple of 8
    tensors = path.read_bytes()[header.start :]
    return len(packed).to_bytes(8, "little") + packed + tensors


# ---- checks


def _check_metadata(metadata: object) -> None:
    if not isinstance(metadata, dict):
        raise ValueError("its metadata are not a table of texts")
    for key, value in metadata.items():
        if not isinstance(value, str):
            raise ValueError(f"its metadata {key[:60]!r} are not a text")


def _check_tensors(tensors: Mapping[str, object], available: int) -> None:
    """Every tensor lies within the file, and they follow each other without gaps."""
    places = []
    for name, entry in tensors.items():
        place = _place(entry)
        if place is None:
            raise ValueError(f"its header says nothing usable of the tensor {name[:60]!r}")
        begin, end = place
        if not 0 <= begin <= end <= available:
            raise ValueError(
                f"the tensor {name[:60]!r} should lie at bytes {begin:,} to {end:,} of"
                f" {available:,}"
            )
        _check_size(name, entry, end - begin)
        places.append((begin, end, name))

    # In the order of the file each one begins where the one before ends.
    last = 0
    for begin, end, name in sorted(places):
        if begin != last:
            problem = "overlaps the one before it" if begin < last else "leaves a gap before it"
            raise ValueError(f"the tensor {name[:60]!r} {problem}")
        last = end
    if last != available:
        raise ValueError(f"its tensors have {last:,} bytes, but there is room for {available:,}")


def _place(entry: object) -> tuple[int, int] | None:
    """The first byte of a tensor, and the one after its last; None where the entry is unusable."""
    if not isinstance(entry, dict) or not isinstance(entry.get("dtype"), str):
        return None
    shape = entry.get("shape")
    offsets = entry.get("data_offsets")
    if not isinstance(shape, list) or not isinstance(offsets, list) or len(offsets) != 2:
        return None
    numbers = [*shape, *offsets]
    if any(type(number) is not int or not 0 <= number < 1 << 63 for number in numbers):
        return None
    return offsets[0], offsets[1]


def _check_size(name: str, entry: Any, size: int) -> None:
    """The bytes of a tensor are those that its type and shape need."""
    bits = _BITS.get(entry["dtype"])
    if bits is None:
        return
    needed = math.prod(entry["shape"]) * bits // 8
    if needed != size:
        raise ValueError(
            f"the tensor {name[:60]!r} of shape {tuple(entry['shape'])} ({entry['dtype']}) needs"
            f" {needed:,} bytes, not {size:,}"
        )
