"""The numbers among the fields of dataclasses, and values that none of them takes."""

import math
import typing
from dataclasses import fields, replace

import numpy as np
import pytest

from rtmpose.errors import InputError

NUMBERS = {int, float}
REFUSED = (math.nan, math.inf, -math.inf, 1e300, -1e300, 10**400, "1", True, {})
OTHERS = {"published", "link_colors", "keypoint_colors", "own_skeleton", "calibration"}
"""Fields that hold colors, or what somebody else has measured."""


def numeric_fields(instances):
    """One parameter for each field that is a number, or a tuple of numbers: the instance, the name,
    and whether it may be None.
    """
    rows = []
    for instance in instances:
        hints = typing.get_type_hints(type(instance))
        for field in fields(instance):
            kinds = _leaves(hints[field.name])
            if kinds & NUMBERS and field.name not in OTHERS:
                name = f"{type(instance).__name__}.{field.name}"
                row = (instance, field.name, type(None) in kinds)
                rows.append(pytest.param(*row, id=name))
    return rows


def _leaves(hint):
    """All types in a hint such as ``tuple[int, int] | None``."""
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is typing.Literal or not arguments:
        return {hint}
    return set().union(*map(_leaves, arguments))


def refuse_wrong_numbers(instance, name, optional):
    """Every value that is no number of the field's range is refused in a line that names it."""
    good = getattr(instance, name)
    for bad in [*REFUSED, *([] if optional else [None])]:
        values = tuple(bad for _ in good) or (bad,) if isinstance(good, tuple) else bad
        with pytest.raises(InputError, match=name) as caught:
            replace(instance, **{name: values})
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 300

    # Numbers of numpy are the same as Python's.
    if isinstance(good, int | float):
        taken = getattr(replace(instance, **{name: np.array(good)[()]}), name)
        assert taken == good
        assert type(taken) is type(good)
