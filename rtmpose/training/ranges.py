"""Ranges of the numbers in recipes, checked when a recipe is made."""

from __future__ import annotations

import math

from rtmpose.errors import InputError

MANY = 1_000_000
"""Largest count that can be meant: of epochs, samples, steps."""

ANY = (0.0, math.inf)
"""Zero or more."""

PROBABILITY = (0.0, 1.0)


def check_ranges(part: str, settings: object, **ranges: tuple[float, float]) -> None:
    """Refuse numbers outside their range, NaN and infinity.

    Args:
        part: Name of the part of the recipe, for the error text.
        settings: The dataclass.
        **ranges: Smallest and largest value by field name; they hold for all values of a tuple.

    Raises:
        InputError: a number lies outside.
    """
    for name, (low, high) in ranges.items():
        value = getattr(settings, name)
        numbers = value if isinstance(value, tuple) else (value,)
        if all(low <= number <= high and math.isfinite(number) for number in numbers):
            continue
        shown = ",".join(str(number) for number in numbers)
        too_large = any(number > high for number in numbers)
        allowed = f"at most {high}" if too_large else f"at least {low}"
        raise InputError(f"{part}.{name} is {allowed}, not {shown}")


def check_order(part: str, settings: object, name: str) -> None:
    """Refuse a pair whose first number is the larger one.

    Raises:
        InputError: it is.
    """
    low, high = getattr(settings, name)
    if low > high:
        raise InputError(f"{part}.{name} has the smaller number first, not {low},{high}")
