"""All settings of the tracker, under the names of the published one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from rtmpose.keywords import checked_class, keywords_of
from rtmpose.ranges import TRACKER, check_choice, check_fields, check_flags, check_length


@checked_class
@dataclass(frozen=True)
class TrackerParams:
    """Settings of :class:`rtmpose.tracking.PoseTracker`.

    Names and defaults are those of the deployment SDK's pose tracker, but for ``det_thr``, which is
    that of pipelines and 0.5 there; the last five are additions.

    Attributes:
        det_interval: Frames from one detection to the next; between them people are followed by
            their own keypoints.
        det_label: Class of the detector that is a person; -1 for any.
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
        person_thr: Lowest person score (box score times keypoint scores) of a new track. Whoever is
            tracked already is kept below it. None: 0.12 for keypoint sets of whole people, else 0.

    Raises:
        InputError: a value makes no sense, or a setting is unknown.
    """

    # Names of the published tracker.
    det_interval: int = 1
    det_label: int = 0
    det_thr: float = 0.3
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
    person_thr: float | None = None

    def __post_init__(self) -> None:
        check_length(self, "smooth_params", (3,), "three numbers: beta, fc_min and fc_derivative")
        check_fields(self, **TRACKER)
        check_flags(self, "repair_swaps")
        check_choice("smooth", self.smooth, ("off", "live"))

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
