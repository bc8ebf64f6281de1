"""Numbers of JSON, which knows no difference between 3 and 3.0."""

from __future__ import annotations


def as_whole(value: object) -> object:
    """A whole number as ``int``, however it was written; anything else as it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
