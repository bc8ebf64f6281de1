"""What a file of DeepLabCut's labels holds, whatever its form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rtmpose.errors import InputError
from rtmpose.sources.kinds import IMAGE_SUFFIXES


@dataclass(frozen=True)
class LabelTable:
    """A file of labels.

    Attributes:
        columns: Individual, body part and coordinate (``x``, ``y``, ``likelihood``) of each column.
        rows: Image (a path as written) and values, NaN where there is no label.
    """

    columns: Sequence[tuple[str, str, str]]
    rows: Sequence[tuple[str, Sequence[float]]]


def refuse_predictions(path: Path, names: Sequence[str]) -> None:
    """Tables of analyzed videos number their frames and have no images.

    Raises:
        InputError: it is one.
    """
    if names and not any(Path(name).suffix.lower() in IMAGE_SUFFIXES for name in names):
        raise InputError(
            f"{path} has no images ({names[0]!r} where their paths should be): predictions of a"
            " video are not labels; give a CollectedData file of labeled-data"
        )
