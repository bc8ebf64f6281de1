"""Tensors of the Open Inference Protocol (version 2): JSON, raw bytes, numpy."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from rtmpose.serve.faults import bad_request
from rtmpose.serve.json_numbers import as_whole
from rtmpose.serve.uploads import from_base64

DTYPES: Mapping[str, str] = {
    "BOOL": "?",
    "UINT8": "<u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "INT8": "<i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}
BYTES = "BYTES"
MOST_DIMENSIONS = 8
MOST_ELEMENTS = 2**31

Array = NDArray[Any]
Tensor = Array | list[bytes]
"""Numbers as an array, BYTES as a list."""


@dataclass(frozen=True, eq=False)
class InputTensor:
    """An input of a request.

    Attributes:
        name: Of the input.
        datatype: As the protocol calls it.
        shape: Its shape.
        data: Its elements.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: Tensor


@dataclass(frozen=True, eq=False)
class InferRequest:
    """A request for inference, whatever it came through.

    Attributes:
        id: The client's name of the request.
        inputs: By name.
        outputs: Names of the outputs that are wanted; empty for all.
        parameters: Plain values.
    """

    id: str
    inputs: dict[str, InputTensor]
    outputs: tuple[str, ...] = ()
    parameters: Mapping[str, object] = field(default_factory=dict)


def check_shape(name: str, shape: object) -> tuple[int, ...]:
    """A shape out of a request.

    Raises:
        ServiceError: it is none, or larger than anything that is taken.
    """
    if not isinstance(shape, Sequence) or isinstance(shape, str) or len(shape) > MOST_DIMENSIONS:
        raise bad_request(f"the shape of {name} must be a list of sizes")
    sizes = [as_whole(size) for size in shape]
    for size in sizes:
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < MOST_ELEMENTS:
            raise bad_request(f"the shape of {name} must be a list of sizes")
    whole = cast("list[int]", sizes)
    if math.prod(whole) > MOST_ELEMENTS:
        raise bad_request(f"{name} is too large")
    return tuple(whole)


def from_raw(name: str, datatype: str, shape: tuple[int, ...], raw: bytes) -> InputTensor:
    """A tensor of its bytes, little-endian; BYTES have their length in four bytes in front.

    Raises:
        ServiceError: there are too many or too few.
    """
    count = math.prod(shape)
    if datatype == BYTES:
        return InputTensor(name, datatype, shape, _split(name, count, raw))
    dtype = np.dtype(_dtype(name, datatype))
    if len(raw) != count * dtype.itemsize:
        raise bad_request(
            f"{name} has {len(raw)} bytes; {datatype} of shape {list(shape)} has"
            f" {count * dtype.itemsize}"
        )
    return InputTensor(name, datatype, shape, np.frombuffer(raw, dtype).reshape(shape))


def from_json(name: str, datatype: str, shape: tuple[int, ...], data: object) -> InputTensor:
    """A tensor of JSON: its elements, flat or nested; BYTES as base64.

    Raises:
        ServiceError: they are something else.
    """
    count = math.prod(shape)
    if datatype == BYTES:
        if not isinstance(data, list):
            raise bad_request(f"the data of {name} must be a list")
        files = [from_base64(text, f"an element of {name}") for text in data]
        if len(files) != count:
            raise bad_request(f"{name} has {len(files)} elements; its shape says {count}")
        return InputTensor(name, datatype, shape, files)
    dtype = np.dtype(_dtype(name, datatype))
    try:
        values = np.asarray(data)
        if values.dtype.kind not in "biuf" and values.size:
            raise bad_request(f"the data of {name} are not numbers")
        array = values.reshape(-1)
        within = _within(array, dtype)
        array = array.astype(dtype)
    except (ValueError, TypeError, OverflowError) as error:
        raise bad_request(f"the data of {name} are not an array: {error}") from error
    if array.size != count:
        raise bad_request(f"{name} has {array.size} elements; its shape says {count}")
    if not within:
        raise bad_request(f"the data of {name} do not fit into {datatype}")
    return InputTensor(name, datatype, shape, array.reshape(shape))


def datatype_of(array: Array) -> str:
    """The protocol's name of an array's type."""
    for name, dtype in DTYPES.items():
        if array.dtype == np.dtype(dtype):
            return name
    raise TypeError(f"no datatype for {array.dtype}")


def to_raw(array: Array) -> bytes:
    """The bytes of an array, little-endian."""
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()


def _dtype(name: str, datatype: str) -> str:
    if datatype not in DTYPES:
        raise bad_request(f"{name} has the unknown datatype {datatype[:20]!r}")
    return DTYPES[datatype]


def _within(values: Array, dtype: np.dtype[Any]) -> bool:
    """Whether whole numbers stay what they are."""
    if dtype.kind not in "iu" or not values.size:
        return True
    limits = np.iinfo(dtype)
    whole = values.dtype.kind in "biu" or bool((values == np.floor(values)).all())
    return whole and bool(values.min() >= limits.min) and bool(values.max() <= limits.max)


def _split(name: str, count: int, raw: bytes) -> list[bytes]:
    elements: list[bytes] = []
    at = 0
    while at + 4 <= len(raw) and len(elements) < count:
        (size,) = struct.unpack_from("<I", raw, at)
        at += 4
        if at + size > len(raw):
            break
        elements.append(raw[at : at + size])
        at += size
    if len(elements) != count or at != len(raw):
        raise bad_request(f"{name} does not hold {count} elements of BYTES")
    return elements
