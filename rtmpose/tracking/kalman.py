"""Where a box will be: a Kalman filter of center and size with constant velocity, in seconds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtmpose.types import FloatArray

FRAME_S = 1 / 30
"""The interval the published uncertainties are meant for."""
COAST = 0.93
"""Factor on the velocity per 30th of a second unseen."""
Vector = NDArray[np.float64]


class BoxFilter:
    """One person's box.

    The four values of a box do not depend on each other and are all as uncertain: the covariance of
    the usual 8 x 8 filter holds three different numbers.

    Args:
        box: ``(4,)`` xyxy.
        position: Uncertainty of the place as a fraction of the height.
        velocity: Uncertainty of the velocity as a fraction of the height per frame.
    """

    def __init__(self, box: FloatArray, position: float, velocity: float) -> None:
        # Uncertainties are fractions of the height, so that near and far people are treated alike.
        self._position = position
        self._velocity = velocity
        self.place: Vector = _measure(box)
        """Center and size in pixels."""
        self.pace: Vector = np.zeros(4)
        """Their change per second."""
        # Generous at the start: the first pace is unknown.
        self._place_variance = _square(2 * position * self._height)
        self._shared = 0.0  # covariance of place and pace
        self._pace_variance = _square(10 * velocity * self._height / FRAME_S)

    def predict(self, step_s: float) -> FloatArray:
        """The box ``(4,)`` xyxy after ``step_s`` more seconds; the filter moves there."""
        frames = max(step_s / FRAME_S, 1e-3)

        # Uncertainty grows with time, and that of the pace adds to that of the place.
        noise = _square(self._position * self._height) * frames
        pace_noise = _square(self._velocity * self._height / FRAME_S) * frames
        self.place = self.place + self.pace * step_s
        self._place_variance += (2 * self._shared + self._pace_variance * step_s) * step_s + noise
        self._shared += self._pace_variance * step_s
        self._pace_variance += pace_noise
        return self.box

    def coast(self, step_s: float) -> None:
        """Nobody was seen: size stays, and the pace is believed less and less.

        A person half hidden has a box that shrinks; that must not go on when they are hidden
        wholly.
        """
        self.pace[2:] = 0
        self.pace[:2] *= COAST ** (step_s / FRAME_S)

    def update(self, box: FloatArray) -> None:
        """Take a measured box in."""
        # How far the measurement is believed, for the place and for the pace.
        total = self._place_variance + _square(self._position * self._height)
        gain = self._place_variance / total
        pace_gain = self._shared / total
        surprise = _measure(box) - self.place  # the innovation
        self.place = self.place + gain * surprise
        self.pace = self.pace + pace_gain * surprise

        # Everything is more certain than before; the order matters, each uses the old values.
        self._pace_variance -= pace_gain * self._shared
        self._shared -= gain * self._shared
        self._place_variance -= gain * self._place_variance

    @property
    def box(self) -> FloatArray:
        """``(4,)`` xyxy."""
        # A filter may predict a size below zero; a box has at least one pixel.
        x, y, w, h = self.place.tolist()
        half_w = max(w, 1.0) / 2
        half_h = max(h, 1.0) / 2
        return np.array([x - half_w, y - half_h, x + half_w, y + half_h], np.float32)

    @property
    def _height(self) -> float:
        return max(float(self.place[3]), 1.0)


def _square(value: float) -> float:
    # Not a power: its last bit depends on the math library.
    return value * value


def _measure(box: FloatArray) -> Vector:
    # Corners to center and size.
    x1, y1, x2, y2 = map(float, box)
    return np.array([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1])
