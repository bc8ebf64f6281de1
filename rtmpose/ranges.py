"""Ranges of numbers: what a setting may be, checked where the user gives it.

Numbers of numpy count as numbers. Booleans, texts, None, NaN and infinity do not.
"""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeGuard

from rtmpose.errors import InputError

SHOWN_CHARACTERS = 60
"""Of a refused value; an error is one line."""

MANY = 1_000_000
"""Largest count that can be meant: of frames, epochs, samples, steps."""
LARGE = 1e9
"""Largest number that can be meant: of seconds, pixels, factors."""


# ---- what is allowed


@dataclass(frozen=True)
class Range:
    """The values that a number may have.

    Attributes:
        low: Smallest value.
        high: Largest value.
        whole: Only whole numbers.
        above: ``low`` itself is not allowed.
        below: ``high`` itself is not allowed.
        or_none: None is allowed too.
    """

    low: float
    high: float
    whole: bool = False
    above: bool = False
    below: bool = False
    or_none: bool = False

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        low, high = _plain(self.low), _plain(self.high)
        if self.above:
            words = f"above {low} and {'below' if self.below else 'at most'} {high}"
        else:
            words = f"from {low} to {'below ' if self.below else ''}{high}"
        return f"{kind} {words}" + (", or None" if self.or_none else "")

    def optional(self) -> Range:
        """The same range, with None."""
        return replace(self, or_none=True)

    def holds(self, value: float) -> bool:
        """Whether a number lies inside; NaN does not."""
        if not self.low <= value <= self.high:
            return False
        return not ((self.above and value == self.low) or (self.below and value == self.high))


# What several settings share.
FRACTION = Range(0, 1)
"""Thresholds, shares and probabilities."""
SHARE_BELOW_1 = Range(0, 1, below=True)
ANY_SIZE = Range(0, LARGE)
POSITIVE = Range(0, LARGE, above=True)
FINITE = Range(-LARGE, LARGE)
SECONDS = Range(0, LARGE)
COUNT = Range(1, MANY, whole=True)
COUNT_OR_ZERO = Range(0, MANY, whole=True)
FRAMES = Range(1, LARGE, whole=True)
CLASS = Range(0, MANY, whole=True)
INDEX = Range(0, 2**63 - 1, whole=True)
SEED = Range(0, 2**32 - 1, whole=True)

# What a machine can bear.
THREADS = Range(0, 1024, whole=True)
WORKERS = Range(1, 1024, whole=True)
STREAMS = Range(1, 1024, whole=True)
DEVICES = Range(1, 10_000, whole=True)
BATCH = Range(1, 256, whole=True)
PEOPLE = Range(1, 1000, whole=True)
"""In every frame of a benchmark."""
SIDE = Range(1, 65_536, whole=True)
"""Of an image or a network's input, in pixels."""

# What is drawn.
KEYPOINT_SCORE = Range(0, 100)
IMAGE_SIDE = Range(16, 16_384, whole=True)
"""Long side of a drawn image, in pixels."""
LINE_WIDTH = Range(0, 1000, above=True)
METERS_PER_PIXEL = Range(0, 1000, above=True)
TRAIL = Range(0, 100_000, whole=True)
FPS = Range(0.1, 1000)
SEQUENCE_FPS = Range(0.001, 1000)
OPSET = Range(11, 23, whole=True)
"""Versions of the ONNX operators that are written."""

# Pruning.
CHUNK = Range(1, 4096, whole=True)
HEAD_KERNEL = Range(1, 7, whole=True)
GAU_UNITS = Range(1, 512, whole=True)
LEARNING_RATE = Range(0, 1, above=True)

SIZE_OR_ANY = Range(-1, MANY)
COUNT_OR_ANY = Range(-1, MANY, whole=True)

TRACKER: Mapping[str, Range] = {
    "det_interval": COUNT,
    "det_label": COUNT_OR_ANY,
    "det_thr": FRACTION,
    "det_min_bbox_size": SIZE_OR_ANY,
    "det_nms_thr": FRACTION,
    "pose_max_num_bboxes": COUNT_OR_ANY,
    "pose_kpt_thr": KEYPOINT_SCORE,
    "pose_min_keypoints": COUNT_OR_ANY,
    "pose_bbox_scale": Range(0, 100, above=True),
    "pose_min_bbox_size": SIZE_OR_ANY,
    "pose_nms_thr": FRACTION,
    "track_iou_thr": FRACTION,
    "track_max_missing": COUNT_OR_ZERO,
    "track_history_size": COUNT,
    "std_weight_position": Range(0, 1000, above=True),
    "std_weight_velocity": Range(0, 1000, above=True),
    "smooth_params": Range(0, MANY),
    "remember_s": SECONDS,
    "confirm": COUNT,
    "person_thr": FRACTION.optional(),
}
"""Settings of the tracker, by name."""


# ---- checks


def check_number(name: str, value: object, allowed: Range) -> float:
    """The number as Python's own, if it lies in its range.

    Args:
        name: Of the setting, for the message.
        value: What was given.
        allowed: Its range; without ``or_none`` here, as None is no number.

    Raises:
        InputError: it is no number, not a whole one, or outside.
    """
    number = _as_number(value, whole=allowed.whole)
    if number is None or not allowed.holds(number):
        raise InputError(f"{name} must be {allowed}, not {shown(value)}")
    return number


def check_optional(name: str, value: object, allowed: Range) -> float | None:
    """:func:`check_number` for a value that may be None."""
    return None if value is None else check_number(name, value, allowed)


def check_count(name: str, value: object, allowed: Range = COUNT) -> int:
    """:func:`check_number` for a whole number."""
    return int(check_number(name, value, replace(allowed, whole=True)))


def check_choice(name: str, value: object, allowed: Sequence[str]) -> str:
    """The text, if it is one of those allowed.

    Raises:
        InputError: it is another, or no text.
    """
    if not isinstance(value, str) or value not in allowed:
        words = f"{', '.join(allowed[:-1])} or {allowed[-1]}"
        raise InputError(f"{name} must be {words}, not {shown(value)}")
    return value


def check_text(name: str, value: object) -> str:
    """The value, if it is a text.

    Raises:
        InputError: it is something else.
    """
    if not isinstance(value, str):
        raise InputError(f"{name} must be a text, not {shown(value)}")
    return value


def check_flag(name: str, value: object) -> bool:
    """The boolean, Python's own or numpy's.

    Raises:
        InputError: it is something else; a text such as "no" would count as true.
    """
    if isinstance(value, bool):
        return value
    if type(value).__name__ in ("bool", "bool_") and type(value).__module__ == "numpy":
        return bool(value)
    raise InputError(f"{name} must be True or False, not {shown(value)}")


def check_fields(settings: object, part: str = "", /, **ranges: Range) -> None:
    """Check numbers of a frozen dataclass, in its ``__post_init__``, and store them as Python's
    own.

    Args:
        settings: The dataclass.
        part: Put before the names of the fields in messages.
        **ranges: By field name; they hold for all numbers of a tuple.

    Raises:
        InputError: a number lies outside.
    """
    prefix = f"{part}." if part else ""
    for name, allowed in ranges.items():
        value = getattr(settings, name)
        if value is None and allowed.or_none:
            continue
        if _is_row(value):
            checked: object = check_row(prefix + name, value, allowed)
        else:
            checked = check_number(prefix + name, value, allowed)
        object.__setattr__(settings, name, checked)


def check_row(
    name: str, values: object, allowed: Range, length: int | None = None
) -> tuple[float, ...]:
    """A row of numbers (tuple, list or array) as a tuple, if all lie in the range.

    Raises:
        InputError: it is no row, has another length, or a number lies outside.
    """
    if not _is_row(values) or length not in (None, len(values)):
        number = "" if length is None else f"{length} "
        raise InputError(f"{name} must be {number}numbers, not {shown(values)}")
    return tuple(check_number(name, value, allowed) for value in values)


def check_flags(settings: object, *names: str, part: str = "") -> None:
    """Check the booleans of a frozen dataclass, like :func:`check_fields`."""
    prefix = f"{part}." if part else ""
    for name in names:
        object.__setattr__(settings, name, check_flag(prefix + name, getattr(settings, name)))


def check_length(settings: object, name: str, lengths: Sequence[int], meaning: str) -> None:
    """Check how many values a tuple of a dataclass has; anything else than a row is refused.

    Args:
        settings: The dataclass.
        name: Of the field.
        lengths: Those allowed.
        meaning: What the values are, for the message.

    Raises:
        InputError: it has another length.
    """
    value = getattr(settings, name)
    if not _is_row(value) or len(value) not in lengths:
        raise InputError(f"{name} must be {meaning}, not {shown(value)}")


def check_order(settings: object, name: str, part: str = "") -> None:
    """Refuse a pair whose first number is the larger one, after :func:`check_fields`.

    Raises:
        InputError: it is, or it is no pair.
    """
    value = getattr(settings, name)
    where = f"{part}.{name}" if part else name
    is_pair = isinstance(value, tuple) and len(value) == 2
    if not is_pair or value[0] > value[1]:
        raise InputError(
            f"{where} must be two numbers, the smaller number first, not {shown(value)}"
        )


def shown(value: object) -> str:
    """A value for an error: one short line, whatever it is."""
    try:
        text = " ".join(repr(value).split())
    except ValueError:
        # Python refuses to write out integers of thousands of digits.
        return f"a {type(value).__name__} too long to show"
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}..."


# ---- parts


def _as_number(value: object, *, whole: bool) -> float | None:
    """A number of Python or numpy as Python's own; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return None
    if isinstance(value, numbers.Integral):
        return int(value)
    return None if whole else float(value)


def _is_row(value: object) -> TypeGuard[Sequence[object]]:
    """Whether it is a row of values: a tuple, a list, an array of one dimension."""
    return isinstance(value, list | tuple) or getattr(value, "ndim", 0) == 1


def _plain(number: float) -> str:
    """1000000.0 as 1,000,000; small numbers in the usual form."""
    if abs(number) >= LARGE:
        return f"{number:g}"
    return f"{int(number):,}" if number == int(number) else f"{number:g}"
