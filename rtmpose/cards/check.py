"""Whether the fields of a model card make sense together: cards come from files of anybody."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import get_args

from rtmpose.model_card import ColorOrder, InputFit, ModelCard
from rtmpose.types import Skeleton

LARGEST_SIDE = 16_384
"""Pixels; no network takes larger images."""

MOST_KEYPOINTS = 10_000


def check_card(card: ModelCard) -> ModelCard:
    """The card itself, where its fields have the right types, lengths and ranges.

    Raises:
        ValueError: one of them has not; the text says which.
    """
    for name in ("id", "task", "architecture", "trained_on", "license", "notes"):
        if not isinstance(getattr(card, name), str):
            raise ValueError(f"its {name} is not a text")
    if not isinstance(card.skeleton, str | None):
        raise ValueError("its skeleton is not a name")
    if card.input_fit not in get_args(InputFit):
        raise ValueError(f"its input_fit is {card.input_fit!r}")

    # Sizes: (0, 0) leaves the size to the file.
    if tuple(card.input_wh) != (0, 0):
        _check_size("input_wh", card.input_wh)
    if card.codec.heatmap_wh is not None:
        _check_size("heatmap_wh", card.codec.heatmap_wh)

    # Pixels in, positions out.
    pixels = card.normalization
    _check_numbers("mean", pixels.mean, 3)
    _check_numbers("std", pixels.std, 3)
    if min(pixels.std) <= 0:
        raise ValueError(f"its std {pixels.std} holds a number that is not positive")
    if pixels.color not in get_args(ColorOrder):
        raise ValueError(f"its color is {pixels.color!r}, not rgb or bgr")
    _check_numbers("split_ratio", (card.codec.split_ratio,), 1)
    if card.codec.split_ratio <= 0:
        raise ValueError(f"its split_ratio is {card.codec.split_ratio}")
    _check_numbers("sigma", card.codec.sigma, len(card.codec.sigma))

    if card.own_skeleton is not None:
        _check_skeleton(card.own_skeleton)
    _check_calibration(card)
    return card


def _check_size(name: str, size: Sequence[object]) -> None:
    good = len(size) == 2 and all(type(s) is int and 0 < s <= LARGEST_SIDE for s in size)
    if not good:
        raise ValueError(f"its {name} is {size}, not a width and a height in pixels")


def _check_numbers(name: str, values: Sequence[object], count: int) -> None:
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(values) != count or len(numbers) != count:
        raise ValueError(f"its {name} is {tuple(values)}: {count} numbers are needed")
    if not all(math.isfinite(v) for v in numbers):
        raise ValueError(f"its {name} {tuple(values)} holds NaN or infinity")


def _check_skeleton(skeleton: Skeleton) -> None:
    """One entry per keypoint everywhere, and indices that exist."""
    count = len(skeleton.keypoints)
    if not 0 < count <= MOST_KEYPOINTS:
        raise ValueError(f"its keypoint set has {count} keypoints")
    lengths = {
        "flip_indices": len(skeleton.flip_indices),
        "sides": len(skeleton.sides),
        "keypoint_colors": len(skeleton.keypoint_colors),
        "sigmas": len(skeleton.sigmas) or count,
    }
    for name, length in lengths.items():
        if length != count:
            raise ValueError(f"its keypoint set has {count} keypoints, but {length} {name}")
    if len(skeleton.link_colors) != len(skeleton.links):
        raise ValueError(
            f"its keypoint set has {len(skeleton.links)} links, but"
            f" {len(skeleton.link_colors)} link_colors"
        )
    _check_indices("flip_indices", skeleton.flip_indices, count)
    for link in skeleton.links:
        if len(link) != 2:
            raise ValueError(f"its keypoint set has the link {link}: two keypoints are needed")
        _check_indices("links", link, count)
    for color in (*skeleton.link_colors, *skeleton.keypoint_colors):
        _check_numbers("colors", color, 3)
    _check_numbers("sigmas", skeleton.sigmas, len(skeleton.sigmas))


def _check_indices(name: str, indices: Iterable[object], count: int) -> None:
    for index in indices:
        if type(index) is not int or not 0 <= index < count:
            raise ValueError(f"its keypoint set has the index {index!r} in {name}")


def _check_calibration(card: ModelCard) -> None:
    if card.calibration is None or card.own_skeleton is None:
        return
    count = len(card.calibration.slope)
    if count not in (1, len(card.own_skeleton)):
        raise ValueError(
            f"its calibration is of {count} keypoints, its keypoint set of {len(card.own_skeleton)}"
        )
