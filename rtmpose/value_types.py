"""What holders of arrays and holders of networks do under ``==``, ``np.asarray`` and ``pickle``."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, NoReturn, TypeVar

import numpy as np

from rtmpose.errors import InputError

Class = TypeVar("Class", bound=type)


def value_type(cls: Class) -> Class:
    """A dataclass of arrays whose objects are equal where all their values are; NaN equals NaN.

    ``np.asarray`` of one is an error that names the arrays in it.
    """
    names = [field.name for field in fields(cls)]

    def equals(self: object, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(_are_equal(getattr(self, name), getattr(other, name)) for name in names)

    # Equal objects have equal lengths.
    def hash_of(self: Any) -> int:
        return hash((cls.__name__, len(self)))

    def to_array(self: Any, *args: object, **kwargs: object) -> NoReturn:
        arrays = [n for n in names if isinstance(getattr(self, n), np.ndarray)]
        listed = ", ".join(f".{name} {getattr(self, name).shape}" for name in arrays)
        raise InputError(f"{cls.__name__} are several arrays, not one: {listed}")

    setattr(cls, "__eq__", equals)  # noqa: B010
    setattr(cls, "__hash__", hash_of)  # noqa: B010
    setattr(cls, "__array__", to_array)  # noqa: B010
    return cls


def _are_equal(a: object, b: object) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    return bool(a == b)


def one_process(cls: Class) -> Class:
    """A class whose objects hold opened networks: pickling or deep copying one is an error that
    says what to do.
    """

    def refuse(self: object) -> NoReturn:
        raise InputError(
            f"a {type(self).__name__} holds opened networks, and cannot be copied or sent to"
            " another process: open one in each process, such as in the initializer of a pool"
        )

    # The networks are shared then, which copy.copy may do.
    def shallow(self: Any) -> object:
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__)
        return made

    setattr(cls, "__reduce__", refuse)  # noqa: B010
    setattr(cls, "__copy__", shallow)  # noqa: B010
    return cls
