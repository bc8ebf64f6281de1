"""A list in a JSON file, written item by item."""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO

from rtmpose.text_files import to_json


class JsonItems:
    """Writes the items of a list, with what stands between them; the brackets are the caller's.

    Args:
        file: Open for text.

    Attributes:
        count: Items so far.
    """

    def __init__(self, file: IO[str]) -> None:
        self.count = 0
        self._file = file

    def add(self, item: object) -> None:
        """Write one item."""
        between = ", " if self.count else ""
        self._file.write(between + to_json(item))
        self.count += 1

    def add_all(self, items: Iterable[object]) -> None:
        """Write several."""
        for item in items:
            self.add(item)
