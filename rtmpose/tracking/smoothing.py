"""Smoothing of keypoints over time, by the clock rather than by the frame."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rtmpose.types import FloatArray

CUTOFF_HZ = 6.0
"""Of the offline filter: what human movement at everyday speed needs (Winter, Biomechanics, 2009)."""
LONGEST_GAP_S = 0.5


class OneEuro:
    """The one-euro filter (Casiez et al., CHI 2012) for any number of values at once.

    Args:
        beta: How much speed (units per second) raises the cut-off.
        fc_min: Cut-off of what stands still, in Hz.
        fc_derivative: Cut-off of the speed estimate, in Hz.
    """

    def __init__(
        self, beta: float = 0.007, fc_min: float = 1.0, fc_derivative: float = 1.0
    ) -> None:
        self._beta, self._fc_min, self._fc_derivative = beta, fc_min, fc_derivative
        self._value: NDArray[np.float64] | None = None
        self._speed: NDArray[np.float64] | None = None
        self._time = 0.0

    def __call__(self, values: FloatArray, time_s: float) -> FloatArray:
        """The smoothed values; the first ones are returned as they are.

        Args:
            values: Any shape, the same every time.
            time_s: Seconds; the interval to the last call is what counts.
        """
        return smooth_together([self], np.asarray(values)[None], time_s)[0]


def smooth_together(filters: Sequence[OneEuro], values: FloatArray, time_s: float) -> FloatArray:
    """Several filters in one go, for speed: values ``(N, ...)``, a row for each filter, to smoothed
    ones.

    Args:
        filters: Of equal parameters; each keeps its own memory.
        values: The rows' shape is the same every time.
        time_s: As for :class:`OneEuro`.
    """
    new = np.asarray(values, np.float64)
    old = [i for i, f in enumerate(filters) if f._value is not None]
    if old:
        known, rows = [filters[i] for i in old], new[old]
        value, speed = np.stack([f._value for f in known]), np.stack([f._speed for f in known])  # type: ignore[misc]
        each = (-1, *[1] * (new.ndim - 1))
        step = np.maximum(time_s - np.array([f._time for f in known]), 1e-4).reshape(each)
        speed += _weight(known[0]._fc_derivative, step) * ((rows - value) / step - speed)
        # One cut-off per point: a limb that moves along x must not be held back along y.
        pace = np.linalg.norm(speed, axis=-1, keepdims=True)
        value += _weight(known[0]._fc_min + known[0]._beta * pace, step) * (rows - value)
        new = new.copy()
        new[old] = value
        for i, row in zip(old, speed, strict=True):
            filters[i]._speed = row
    for f, row in zip(filters, new, strict=True):
        if f._speed is None:
            f._speed = np.zeros_like(row)
        f._value, f._time = row.copy(), time_s
    return new.astype(np.float32)


def _weight(
    cutoff: float | NDArray[np.float64], step: float | NDArray[np.float64]
) -> NDArray[np.float64]:
    turn = 2 * math.pi * np.asarray(cutoff, np.float64) * step
    return np.asarray(turn / (turn + 1))


def smooth_offline(
    times: Sequence[float] | NDArray[np.float64],
    keypoints: FloatArray,
    scores: FloatArray,
    frame_times: Sequence[float],
    *,
    cutoff_hz: float = CUTOFF_HZ,
    longest_gap_s: float = LONGEST_GAP_S,
) -> tuple[NDArray[np.bool_], FloatArray, FloatArray, NDArray[np.bool_]]:
    """One person's whole track without lag: gaps filled, then a Butterworth filter run forwards and
    backwards.

    Args:
        times: ``(T,)`` seconds at which the person was seen, ascending.
        keypoints: ``(T, K, 2)``.
        scores: ``(T, K)``.
        frame_times: ``(F,)`` seconds of all frames of the video.
        cutoff_hz: Of the filter.
        longest_gap_s: Longer absences stay absences.

    Returns:
        For all F frames: whether the person is there ``(F,)``, keypoints ``(F, K, 2)``, scores
            ``(F, K)``, and whether
        the frame was filled in ``(F,)``.
    """
    from scipy.signal import butter, filtfilt

    seen, frames = np.asarray(times, np.float64), np.asarray(frame_times, np.float64)
    k = keypoints.shape[1]
    places = np.zeros((len(frames), k, 2), np.float32)
    values = np.zeros((len(frames), k), np.float32)
    present, filled = np.zeros(len(frames), bool), np.zeros(len(frames), bool)
    if not len(seen):
        return present, places, values, filled
    breaks = np.flatnonzero(np.diff(seen) > longest_gap_s + 1e-9) + 1
    for part in np.split(np.arange(len(seen)), breaks):
        inside = np.flatnonzero(
            (frames >= seen[part[0]] - 1e-9) & (frames <= seen[part[-1]] + 1e-9)
        )
        if not len(inside):
            continue
        at = frames[inside]
        track = np.stack(
            [np.interp(at, seen[part], keypoints[part, j, c]) for j in range(k) for c in (0, 1)],
            axis=1,
        )
        sure = np.stack([np.interp(at, seen[part], scores[part, j]) for j in range(k)], axis=1)
        rate = (len(at) - 1) / (at[-1] - at[0]) if len(at) > 1 else 0.0
        if len(at) > 12 and rate > 2.2 * cutoff_hz:
            b, a = butter(2, cutoff_hz / (rate / 2))
            track = filtfilt(b, a, track, axis=0)
        places[inside] = track.reshape(len(at), k, 2)
        values[inside] = sure
        present[inside] = True
        known = np.abs(at[:, None] - seen[part][None]).min(axis=1) < 1e-6
        filled[inside] = ~known
    return present, places, values, filled
