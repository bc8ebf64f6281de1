"""Signals over time: short gaps filled, and a low-pass filter without lag."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import signal

Signals = NDArray[np.float64]

ORDER = 4
"""Of the filter, as the two passes of a filter of order 2 make it."""


def fill_gaps(values: Signals, most: int) -> tuple[Signals, NDArray[np.bool_]]:
    """Signals with short gaps filled along straight lines.

    Args:
        values: ``(F, N)``; NaN where nothing is known.
        most: Frames of the longest gap that is filled. Nothing is added before the first and
            after the last known value.

    Returns:
        The signals, and ``(F, N)`` where values were added.
    """
    filled = values.copy()
    for column in range(values.shape[1]):
        known = np.flatnonzero(np.isfinite(values[:, column]))
        for before in np.flatnonzero(np.diff(known) > 1):
            first, last = known[before], known[before + 1]
            if last - first - 1 > most:
                continue
            inside = np.arange(first + 1, last)
            ends = values[[first, last], column]
            filled[inside, column] = np.interp(inside, [first, last], ends)
    return filled, np.isfinite(filled) & ~np.isfinite(values)


def low_pass(values: Signals, rate: float, cutoff: float) -> tuple[Signals, int]:
    """Signals through a Butterworth filter of order 4 that runs forward and backward: no lag.

    Each run of known values is filtered on its own; those too short for it stay as they are.

    Args:
        values: ``(F, N)``; NaN where nothing is known.
        rate: Frames per second.
        cutoff: Hz, below half the rate.

    Returns:
        The signals, and how many values were too few in a row.
    """
    numerator, denominator = signal.butter(ORDER // 2, cutoff / (rate / 2))
    padding = 3 * max(len(numerator), len(denominator))
    filtered = values.copy()
    short = 0
    for column in range(values.shape[1]):
        for run in runs(np.isfinite(values[:, column])):
            if run.stop - run.start <= padding:
                short += run.stop - run.start
                continue
            filtered[run, column] = signal.filtfilt(numerator, denominator, values[run, column])
    return filtered, short


def runs(known: NDArray[np.bool_]) -> Iterator[slice]:
    """Where True stands several times in a row."""
    edges = np.diff(np.concatenate([[False], known, [False]]).astype(np.int8))
    starts, stops = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
        yield slice(start, stop)


def moving_sum(values: Signals, half_width: int) -> Signals:
    """``(F,)`` sums over a window around each frame; NaN counts as 0."""
    window = np.ones(2 * half_width + 1)
    return np.convolve(np.nan_to_num(values), window, mode="full")[
        half_width : half_width + len(values)
    ]
