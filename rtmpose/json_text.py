"""JSON that every reader takes: NaN and infinity, which JSON does not have, become null."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping


def to_json(
    value: object,
    *,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    ensure_ascii: bool = True,
    sort_keys: bool = False,
) -> str:
    """The text of a value; arguments as in ``json.dumps``.

    Python itself would write NaN as a bare ``NaN``, which breaks the whole file for others.
    """

    def text(content: object) -> str:
        return json.dumps(
            content,
            indent=indent,
            separators=separators,
            ensure_ascii=ensure_ascii,
            sort_keys=sort_keys,
            allow_nan=False,
        )

    # Almost nothing holds NaN: looking for it comes second.
    try:
        return text(value)
    except ValueError:
        return text(_without_nan(value))


def _without_nan(value: object) -> object:
    """The same data, with None for NaN and infinity."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return value
