"""All settings of the tracker, under the names of the published one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from rtmpose.errors import InputError
from rtmpose.keywords import checked_class, keywords_of


@checked_class
@dataclass(frozen=True)
class TrackerParams:
    """Settings of :class:`rtmpose.tracking.PoseTracker`.

    Names and defaults are those of the deployment SDK's pose tracker; the last four are additions.

    Attributes:
        det_interval: Frames from one detection to the next; between them people are followed by
            their own keypoints.
        det_label: Class of the detector that is a person.
        det_thr: Lowest score of a detected box.
        det_min_bbox_size: Smallest detected box, as the square root of its area in pixels; -1 for
            any.
        det_nms_thr: Overlap above which a followed box and a detected one are the same person.
        pose_max_num_bboxes: At most this many people per frame; -1 for any number.
        pose_kpt_thr: Lowest score of a keypoint that counts as seen.
        pose_min_keypoints: Fewest seen keypoints of a person who is followed; -1 for half of all.
        pose_bbox_scale: Factor from the extent of the keypoints to the box that is followed.
        pose_min_bbox_size: Smallest followed box, as above.
        pose_nms_thr: Similarity (OKS, or overlap where the keypoint set has no sigmas) above which
            two poses are one.
        track_iou_thr: Lowest overlap of a pose's box with the predicted one for them to be the same
            person.
        track_max_missing: Frames a lost person is remembered.
        track_history_size: Poses kept per person in :attr:`TrackState.history`.
        std_weight_position: Uncertainty of a box's place, as a fraction of its height (Kalman
            filter).
        std_weight_velocity: The same of its velocity, per frame at 30 frames per second.
        smooth_params: One-euro filter: ``beta``, ``fc_min`` and ``fc_derivative`` (Hz).
        smooth: ``off`` or ``live`` (the one-euro filter). Offline smoothing is
            :func:`rtmpose.tracking.smooth_offline`.
        repair_swaps: Undo left and right limbs exchanged for a moment.
        remember_s: Seconds that somebody who was seen for long is remembered, where that is more
            than ``track_max_missing`` frames.
        confirm: Sightings before a doubtful new track gets an id; a confident one gets it at once.

    Raises:
        InputError: a value makes no sense, or a setting is unknown.
    """

    # Names of the published tracker.
    det_interval: int = 1
    det_label: int = 0
    det_thr: float = 0.5
    det_min_bbox_size: float = -1
    det_nms_thr: float = 0.7
    pose_max_num_bboxes: int = -1
    pose_kpt_thr: float = 0.5
    pose_min_keypoints: int = -1
    pose_bbox_scale: float = 1.25
    pose_min_bbox_size: float = -1
    pose_nms_thr: float = 0.5
    track_iou_thr: float = 0.4
    track_max_missing: int = 10
    track_history_size: int = 1
    std_weight_position: float = 0.05
    std_weight_velocity: float = 0.00625
    smooth_params: tuple[float, float, float] = (0.007, 1.0, 1.0)
    # Additions.
    smooth: str = "live"
    repair_swaps: bool = True
    remember_s: float = 1.0
    confirm: int = 2

    def __post_init__(self) -> None:
        # Whole numbers with a lower limit.
        for name, low in (
            ("det_interval", 1),
            ("track_max_missing", 0),
            ("track_history_size", 1),
            ("confirm", 1),
        ):
            if getattr(self, name) < low:
                raise InputError(f"{name} must be {low} or more, not {getattr(self, name)}")
        # Thresholds of scores and overlaps.
        for name in ("det_thr", "det_nms_thr", "pose_nms_thr", "track_iou_thr"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} must lie in 0..1, not {getattr(self, name)}")
        # The rest one by one.
        if not 0 <= self.remember_s < math.inf:
            raise InputError(f"remember_s must be 0 or more seconds, not {self.remember_s}")
        if self.pose_bbox_scale <= 0:
            raise InputError(f"pose_bbox_scale must be above 0, not {self.pose_bbox_scale}")
        if self.smooth not in ("off", "live"):
            raise InputError(f"smooth must be off or live, not {self.smooth!r}")
        if len(self.smooth_params) != 3 or not all(
            math.isfinite(v) and v >= 0 for v in self.smooth_params
        ):
            raise InputError(
                f"smooth_params are beta, fc_min and fc_derivative, not {self.smooth_params}"
            )

    def min_keypoints(self, count: int) -> int:
        """Fewest seen keypoints of a person, for a set of ``count`` keypoints."""
        return (count + 1) // 2 if self.pose_min_keypoints < 0 else self.pose_min_keypoints


PARAM_NAMES = tuple(keywords_of(TrackerParams))
"""Names of all settings of a tracker."""


def with_settings(params: TrackerParams | None, settings: Mapping[str, Any]) -> TrackerParams:
    """Settings, the default ones for None, with some of them replaced by name.

    Raises:
        InputError: a value makes no sense.
    """
    return replace(params or TrackerParams(), **settings)
