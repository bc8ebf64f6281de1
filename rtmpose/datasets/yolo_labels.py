"""The lines of YOLO-pose label files: read, and sorted out where they are not all of one form."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rtmpose.datasets.coco_types import Json
from rtmpose.errors import InputError
from rtmpose.text_files import read_text
from rtmpose.types import Skeleton

BOX_VALUES = 5
"""Values of a line before the keypoints: class, center x, center y, width, height."""
EDGE = 0.01
"""Part of the image that values may lie outside of it: rounding."""
PIXELS = 2.0
"""Values above this are pixels and not parts of the image."""

MAX_CLASSES = 100_000
MAX_KEYPOINTS = 10_000

# Kinds of issues, as in the report of the check.
WRONG_LENGTH = "label-line-length"
BOX_ONLY = "label-line-box-only"
NOT_NUMBERS = "label-line-not-numbers"
OUTSIDE = "label-outside-image"
IN_PIXELS = "label-in-pixels"


@dataclass(frozen=True)
class LabelLine:
    """One instance in a label file.

    Attributes:
        image: Name of its image.
        path: The label file.
        number: Of the line, from 1.
        values: Class, box and keypoints, relative to the image.
    """

    image: str
    path: Path
    number: int
    values: Sequence[float]

    @property
    def where(self) -> str:
        """File and line for people."""
        return f"{self.path}, line {self.number}"


@dataclass(frozen=True)
class PointShape:
    """Number of keypoints, and of the values of each: 2 (x, y) or 3 (x, y, v)."""

    keypoints: int
    values: int

    @property
    def line_length(self) -> int:
        """Values of a whole line."""
        return BOX_VALUES + self.keypoints * self.values


@dataclass
class LabelFaults:
    """What is wrong with lines: kind of issue, and file and line with what is there."""

    found: list[tuple[str, str]] = field(default_factory=list)

    def add(self, kind: str, line: LabelLine, text: str) -> None:
        """Note an issue of a line."""
        self.found.append((kind, f"{line.where}: {text}"))

    def of(self, kind: str) -> list[str]:
        """The issues of a kind."""
        return [text for name, text in self.found if name == kind]


def read_labels(labels: Mapping[str, Path], faults: LabelFaults) -> list[LabelLine]:
    """All lines of the label files, in the order of the images; blank lines are left out.

    Args:
        labels: Image name to label file; one that does not exist has no lines.
        faults: Lines that are no numbers are added to it.

    Raises:
        InputError: a file cannot be read.
    """
    lines: list[LabelLine] = []
    for image, path in labels.items():
        for number, text in _lines_of(path):
            line = LabelLine(image, path, number, _numbers(text))
            if line.values:
                lines.append(line)
            else:
                faults.add(NOT_NUMBERS, line, repr(text[:60]))
    return lines


def _lines_of(path: Path) -> Iterator[tuple[int, str]]:
    """Numbers and texts of the lines that hold something."""
    if not path.is_file():
        return
    text = read_text(path)
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            yield number, line.strip()


def _numbers(text: str) -> list[float]:
    """The numbers of a line; none where one of its words is not a finite number."""
    try:
        values = [float(word) for word in text.split()]
    except ValueError:
        return []
    return values if all(map(math.isfinite, values)) else []


# ---- the form of a line


def point_shape(
    lines: Sequence[LabelLine], shape: Json, skeleton: Skeleton | None, where: str
) -> PointShape:
    """Number of keypoints and of the values of each.

    Args:
        lines: All lines.
        shape: ``kpt_shape`` of ``data.yaml``; empty where it does not say.
        skeleton: The keypoints, if they were given.
        where: The labels in words, for errors.

    Raises:
        InputError: ``kpt_shape`` is no such pair, or the lines do not say the number.
    """
    if shape:
        return _told_shape(shape, where)

    # Without kpt_shape the length that most lines have must say it.
    lengths = Counter(len(line.values) for line in lines)
    if not lengths:
        raise InputError(f"there is no label with anything in it in {where}")
    by_number = sorted(lengths, key=lambda n: (n <= BOX_VALUES, -lengths[n]))
    length = by_number[0]
    count = length - BOX_VALUES
    if count <= 0:
        raise InputError(
            f"labels in {where} have boxes only ({length} values per line) and no keypoints: they"
            " are for a detector"
        )
    candidates = [PointShape(count // n, n) for n in (3, 2) if count % n == 0]
    if skeleton is not None:
        candidates = [c for c in candidates if c.keypoints == len(skeleton)]
    # Where both fit, v of the triples tells: it is 0, 1 or 2 throughout.
    usual = [line for line in lines if len(line.values) == length]
    for candidate in candidates:
        if candidate.values == 2 or _are_triples(usual):
            return candidate
    raise InputError(
        f"labels in {where} have {count} keypoint values per line, which is no set of points; "
        "give --skeleton, or kpt_shape in data.yaml. Segmentation polygons hold no keypoints"
    )


def _told_shape(shape: Json, where: str) -> PointShape:
    """``kpt_shape``: [K, 2] or [K, 3]."""
    numbers = shape if isinstance(shape, list) else []
    if len(numbers) == 2 and all(isinstance(n, int) for n in numbers):
        keypoints, values = numbers
        if 0 < keypoints <= MAX_KEYPOINTS and values in (2, 3):
            return PointShape(keypoints, values)
    raise InputError(
        f"kpt_shape of the data.yaml of {where} is {shape}: it should be [K, 2] (x, y) or [K, 3]"
        " (x, y, v) for K keypoints"
    )


def _are_triples(lines: Sequence[LabelLine]) -> bool:
    """Whether every third keypoint value can be a visibility."""
    first_v = BOX_VALUES + 2
    return all(v in (0, 1, 2) for line in lines for v in line.values[first_v::3])


# ---- which lines can be used


def usable_lines(
    lines: Sequence[LabelLine], shape: PointShape, faults: LabelFaults
) -> list[LabelLine]:
    """Lines with box and keypoints, or with a box only; the others are added to ``faults``."""
    usable = []
    for line in lines:
        length = len(line.values)
        if length == BOX_VALUES:
            faults.add(BOX_ONLY, line, "a box without keypoints")
        elif length != shape.line_length:
            faults.add(WRONG_LENGTH, line, _describe_length(length, shape))
            continue
        if not line.values[0].is_integer() or not 0 <= line.values[0] < MAX_CLASSES:
            faults.add(NOT_NUMBERS, line, f"{line.values[0]:g} is not the number of a class")
            continue
        _check_range(line, shape, faults)
        usable.append(line)
    return usable


def _describe_length(length: int, shape: PointShape) -> str:
    """What a line of another length than the rest may be."""
    text = f"has {length} values, not {shape.line_length}"
    rest = length - BOX_VALUES
    if length == 1:
        return f"{text}: a class without a box"
    other = 5 - shape.values  # 3 for 2, 2 for 3
    if rest == shape.keypoints * other:
        return (
            f"{text}: {shape.keypoints} points with {other} values each instead of {shape.values}"
        )
    if length == shape.line_length + 1:
        return f"{text}: a score or id at the end, as in saved predictions?"
    if rest > 0 and rest % shape.values == 0:
        return f"{text}: {rest // shape.values} points instead of {shape.keypoints}"
    if length % 2 == 1 and length > BOX_VALUES + 1:
        return f"{text}: a segmentation polygon?"
    return text


def _check_range(line: LabelLine, shape: PointShape, faults: LabelFaults) -> None:
    """Boxes and labeled points should be parts of the image, 0 to 1."""
    values = list(line.values[1:BOX_VALUES])
    points = line.values[BOX_VALUES:]
    for start in range(0, len(points), shape.values):
        point = points[start : start + shape.values]
        # Points without a label may stand anywhere.
        if shape.values == 2 or point[2] > 0:
            values += point[:2]
    highest = max(values)
    lowest = min(values)
    if highest > PIXELS:
        faults.add(IN_PIXELS, line, f"a value of {highest:g}, where 1 is the whole image")
    elif highest > 1 + EDGE or lowest < -EDGE:
        value = highest if highest > 1 + EDGE else lowest
        faults.add(OUTSIDE, line, f"a value of {value:g}, where 0 to 1 is inside")
