"""Where a box will be: a Kalman filter of centre and size with constant velocity, in seconds."""

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

    Args:
        box: ``(4,)`` xyxy.
        position: Uncertainty of the place as a fraction of the height.
        velocity: Uncertainty of the velocity as a fraction of the height per frame.
    """

    def __init__(self, box: FloatArray, position: float, velocity: float) -> None:
        self._position, self._velocity = position, velocity
        self.state: Vector = np.concatenate([_measure(box), np.zeros(4)])
        height = max(float(self.state[3]), 1.0)
        spread = [2 * position * height] * 4 + [10 * velocity * height / FRAME_S] * 4
        self._covariance = np.diag(np.square(spread))

    def predict(self, step_s: float) -> FloatArray:
        """The box so many seconds on ``(4,)`` xyxy; the filter moves there."""
        move = np.eye(8)
        move[:4, 4:] = np.eye(4) * step_s
        height = max(float(self.state[3]), 1.0)
        frames = max(step_s / FRAME_S, 1e-3)
        spread = [self._position * height] * 4 + [self._velocity * height / FRAME_S] * 4
        self.state = move @ self.state
        self._covariance = move @ self._covariance @ move.T + np.diag(np.square(spread)) * frames
        return self.box

    def coast(self, step_s: float) -> None:
        """Nobody was seen: size stays, and the pace is believed less and less.

        A person half hidden has a box that shrinks; that must not go on when they are hidden wholly.
        """
        self.state[6:] = 0
        self.state[4:6] *= COAST ** (step_s / FRAME_S)

    def update(self, box: FloatArray) -> None:
        """Take a measured box in."""
        noise = np.eye(4) * (self._position * max(float(self.state[3]), 1.0)) ** 2
        total = self._covariance[:4, :4] + noise
        gain = np.linalg.solve(total, self._covariance[:4]).T
        self.state = self.state + gain @ (_measure(box) - self.state[:4])
        self._covariance = self._covariance - gain @ self._covariance[:4]

    @property
    def box(self) -> FloatArray:
        """``(4,)`` xyxy."""
        centre, size = self.state[:2], np.maximum(self.state[2:4], 1.0)
        return np.concatenate([centre - size / 2, centre + size / 2]).astype(np.float32)


def _measure(box: FloatArray) -> Vector:
    low, high = np.asarray(box[:2], np.float64), np.asarray(box[2:], np.float64)
    return np.concatenate([(low + high) / 2, high - low])
