"""Smoothing of keypoints over time, by the clock rather than by the frame."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rtmpose.types import FloatArray

CUTOFF_HZ = 6.0
"""Cut-off of the offline filter: human movement at everyday speed (Winter, Biomechanics, 2009)."""
LONGEST_GAP_S = 0.5


# ---- live


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
        self._beta = beta
        self._fc_min = fc_min
        self._fc_derivative = fc_derivative
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
    # Filters without a value yet pass their row through.
    smoothed = np.asarray(values, np.float64)
    started = [i for i, f in enumerate(filters) if f._value is not None]
    if started:
        older = [filters[i] for i in started]
        rows = smoothed[started]  # (n, ...)
        value = np.stack([f._value for f in older])  # type: ignore[misc]
        speed = np.stack([f._speed for f in older])  # type: ignore[misc]
        per_filter = (-1, *[1] * (smoothed.ndim - 1))  # n, broadcast over the rest
        step = np.maximum(time_s - np.array([f._time for f in older]), 1e-4).reshape(per_filter)

        # The speed, smoothed with a fixed cut-off.
        # Low-pass of the derivative.
        speed += _weight(older[0]._fc_derivative, step) * ((rows - value) / step - speed)

        # One cut-off per point: a limb that moves along x must not be held back along y.
        pace = np.linalg.norm(speed, axis=-1, keepdims=True)
        cutoff = older[0]._fc_min + older[0]._beta * pace
        value += _weight(cutoff, step) * (rows - value)
        smoothed = smoothed.copy()
        smoothed[started] = value
        for i, row in zip(started, speed, strict=True):
            filters[i]._speed = row

    # What each filter remembers for the next frame.
    for f, row in zip(filters, smoothed, strict=True):
        if f._speed is None:
            f._speed = np.zeros_like(row)
        f._value = row.copy()
        f._time = time_s
    return smoothed.astype(np.float32)


def _weight(
    cutoff: float | NDArray[np.float64], step: float | NDArray[np.float64]
) -> NDArray[np.float64]:
    # The weight of a first-order low-pass for that cut-off (Hz) and interval (s).
    turn = 2 * math.pi * np.asarray(cutoff, np.float64) * step
    return np.asarray(turn / (turn + 1))


# ---- offline


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
            ``(F, K)``, and whether the frame was filled in ``(F,)``.
    """
    # Nothing is present until a part of the track covers it.
    seen = np.asarray(times, np.float64)
    frames = np.asarray(frame_times, np.float64)
    k = keypoints.shape[1]
    places = np.zeros((len(frames), k, 2), np.float32)
    values = np.zeros((len(frames), k), np.float32)
    present = np.zeros(len(frames), bool)
    filled = np.zeros(len(frames), bool)
    if not len(seen):
        return present, places, values, filled

    # Parts without long absences are smoothed by themselves.
    breaks = np.flatnonzero(np.diff(seen) > longest_gap_s + 1e-9) + 1
    for part in np.split(np.arange(len(seen)), breaks):
        # The frames between the first and the last sighting of the part.
        started = frames >= seen[part[0]] - 1e-9
        ended = frames > seen[part[-1]] + 1e-9
        inside = np.flatnonzero(started & ~ended)
        if not len(inside):
            continue
        at = frames[inside]

        # Short absences are filled in linearly.
        coordinates = keypoints[part].reshape(len(part), 2 * k).T  # (2K, T)
        track = np.stack([np.interp(at, seen[part], c) for c in coordinates], axis=1)  # (n, 2K)
        values[inside] = np.stack([np.interp(at, seen[part], s) for s in scores[part].T], axis=1)

        places[inside] = _low_pass(track, at, cutoff_hz).reshape(len(at), k, 2)
        present[inside] = True

        # A frame at whose time nobody was seen was filled in.
        measured = np.abs(at[:, None] - seen[part][None]).min(axis=1) < 1e-6
        filled[inside] = ~measured
    return present, places, values, filled


def _low_pass(
    track: NDArray[np.float64], times: NDArray[np.float64], cutoff_hz: float
) -> NDArray[np.float64]:
    """Values ``(F, C)`` at F times filtered forwards and backwards; as they are where the clip is
    too short or its frames are too far apart.
    """
    from scipy.signal import butter, filtfilt

    # filtfilt needs some samples at both ends, and a cut-off below half the frame rate.
    rate = (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else 0.0
    if len(times) <= 12 or rate <= 2.2 * cutoff_hz:
        return track

    # Second order; run twice, it is of fourth order and without phase.
    b, a = butter(2, cutoff_hz / (rate / 2))
    return np.asarray(filtfilt(b, a, track, axis=0))
