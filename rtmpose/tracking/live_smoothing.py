"""The keypoints of tracked people as they are shown: smoothed while the video runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rtmpose.tracking.params import TrackerParams
from rtmpose.tracking.smoothing import OneEuro, smooth_together
from rtmpose.tracking.state import Track
from rtmpose.types import FloatArray


def shown_keypoints(tracks: Sequence[Track], params: TrackerParams, now: float) -> FloatArray:
    """The keypoints to show ``(N, K, 2)``: smoothed, or as they are.

    Args:
        tracks: People of the frame; their filters go on.
        params: Settings of the tracker.
        now: Seconds of the frame.
    """
    keypoints = np.array([t.keypoints for t in tracks], np.float32)
    if params.smooth == "off" or not tracks:
        return keypoints

    # New and returning people start a filter; all filters run together.
    for track in tracks:
        if track.smoother is None:
            track.smoother = OneEuro(*params.smooth_params)
    filters = [t.smoother for t in tracks if t.smoother is not None]
    return smooth_together(filters, keypoints, now)
