"""Stand-ins for the objects that checkpoints carry besides tensors.

Checkpoints are opened by torch's restricted unpickler. What it meets under the names below becomes
an object of this file, which runs nothing that the file says: arrays and scalars of numbers keep
their bytes, everything else is empty.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

MAX_ARRAY_BYTES = 1 << 24
"""Arrays that describe a keypoint set are far smaller."""

_NUMBERS = re.compile(r"[fiub][1248]")


class Empty:
    """Stands in for an object that is not needed; accepts everything and keeps nothing."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __setstate__(self, _: object) -> None:
        pass

    def __setitem__(self, _: object, __: object) -> None:
        pass

    def append(self, _: object) -> None:
        """Ignored."""

    def extend(self, _: object) -> None:
        """Ignored."""


class NumberType:
    """Stands in for ``numpy.dtype``: the code of a kind of numbers, and their byte order."""

    def __init__(self, code: object = "", *_: object) -> None:
        self.code = code if isinstance(code, str) else ""
        self.order = "<"

    def __setstate__(self, state: object) -> None:
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">"):
            self.order = str(state[1])

    def numbers(self, data: object) -> NDArray[np.generic] | None:
        """The numbers in some bytes; None for other things than numbers."""
        if not isinstance(data, bytes) or len(data) > MAX_ARRAY_BYTES:
            return None
        if not _NUMBERS.fullmatch(self.code) or len(data) % int(self.code[1:]):
            return None
        try:
            return np.frombuffer(data, np.dtype(self.order + self.code))
        except TypeError:  # a code that numpy does not have, such as f1
            return None


class Array:
    """Stands in for a numpy array; ``value`` is nested lists of numbers, or None."""

    def __init__(self, *_: object) -> None:
        self.value: object = None

    def __setstate__(self, state: object) -> None:
        # Version, shape, type, order of the axes, bytes.
        if not isinstance(state, tuple) or len(state) != 5:
            return
        _, shape, kind, fortran, data = state
        numbers = kind.numbers(data) if isinstance(kind, NumberType) else None
        if numbers is None or not isinstance(shape, tuple):
            return
        if not all(isinstance(n, int) and n >= 0 for n in shape):
            return
        if numbers.size == int(np.prod(shape, dtype=object)):
            self.value = numbers.reshape(shape, order="F" if fortran else "C").tolist()


class Scalar:
    """Stands in for a numpy scalar; ``value`` is a number, or None."""

    def __init__(self, kind: object = None, data: object = None, *_: object) -> None:
        numbers = kind.numbers(data) if isinstance(kind, NumberType) else None
        self.value: object = numbers[0].item() if numbers is not None and len(numbers) else None


_NUMPY_CORE = ("numpy.core.multiarray", "numpy._core.multiarray")
_EMPTY = (
    "mmengine.logging.history_buffer.HistoryBuffer",
    "numpy.ndarray",
    *(
        f"numpy.dtypes.{kind}DType"
        for kind in ("Float64", "Float32", "Int64", "Int32", "Bool", "Str")
    ),
    "builtins.getattr",
    "__builtin__.getattr",
    "builtins.slice",
    "collections.defaultdict",
)

STAND_INS: tuple[tuple[type, str], ...] = (
    *((Empty, name) for name in _EMPTY),
    (NumberType, "numpy.dtype"),
    *((Array, f"{module}._reconstruct") for module in _NUMPY_CORE),
    *((Scalar, f"{module}.scalar") for module in _NUMPY_CORE),
    (dict, "mmengine.config.config.ConfigDict"),
)
"""Objects by the names that files know them by."""


def plain(value: object) -> object:
    """Nested plain data: dictionaries, lists, texts, numbers; None for everything else."""
    if isinstance(value, Array | Scalar):
        return value.value
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items() if isinstance(key, str | int)}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool) else None
