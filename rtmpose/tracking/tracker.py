"""The pose tracker: detection now and then, poses in every frame, one id per person.

The way of a frame: predict every track's box -> detect, or not -> merge detected and followed boxes
-> poses of all in one call -> drop doubles -> assign poses to tracks (Hungarian) -> repair, smooth,
give ids.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtmpose.detector import Detector
from rtmpose.errors import InputError
from rtmpose.ops.boxes import box_iou, oks_pairs
from rtmpose.pose_estimator import PoseEstimator
from rtmpose.tracking.boxes import box_size, contained, distinct, nested, pose_boxes
from rtmpose.tracking.kalman import BoxFilter
from rtmpose.tracking.limb_swaps import repair_swaps
from rtmpose.tracking.params import TrackerParams
from rtmpose.tracking.smoothing import OneEuro, smooth_together
from rtmpose.tracking.state import Track, TrackState
from rtmpose.types import Detections, FloatArray, Image, Poses, Skeleton, check_image

LOST_REACH = 0.7
"""A lost person may turn up again within this many box lengths of where they were expected."""
SURE_NEWCOMER = 0.45
"""Mean keypoint score from which a newcomer needs no confirmation."""
WELL_KNOWN = 15
"""Sightings after which somebody is remembered for ``remember_s``."""
DOUBTFUL = 0.1
"""Detections down to this score count where a known person is expected."""


class PoseTracker:
    """Follows people through videos; see the module's text for the way of a frame.

    Args:
        detector: Opened detector; None where boxes come with each frame.
        pose: Opened pose estimator.
        params: Settings.

    One instance may serve many streams, each with a state of its own (:meth:`create_state`);
    calling the tracker itself uses a state that belongs to it. Two trackers share nothing.
    """

    def __init__(
        self, detector: Detector | None, pose: PoseEstimator, params: TrackerParams | None = None
    ) -> None:
        self.detector, self.pose, self.params = detector, pose, params or TrackerParams()
        self.state = TrackState()

    @property
    def skeleton(self) -> Skeleton:
        """The keypoint set of the poses."""
        return self.pose.skeleton

    def create_state(self) -> TrackState:
        """The memory for one more stream."""
        return TrackState()

    def reset(self) -> None:
        """Forget everybody; see :meth:`TrackState.reset`."""
        self.state.reset()

    def __call__(
        self,
        image: Image,
        *,
        time_s: float | None = None,
        detect: bool | None = None,
        boxes: Any = None,
    ) -> Poses:
        """The people in the next frame, with ids.

        Args:
            image: BGR uint8 ``(H, W, 3)``.
            time_s: Seconds of this frame; without it frames are taken to come 30 times a second.
            detect: Whether to run the detector now; None leaves it to ``det_interval``.
            boxes: Detected boxes ``(N, 4)`` or detections, to use instead of the detector.

        Returns:
            Poses with ``ids``; people who are lost for the moment are not in it.

        Raises:
            InputError: the image or the boxes are not usable.
        """
        return self.track_batch(
            [self.state], [image], times=[time_s], detect=[detect], boxes=[boxes]
        )[0]

    def track_batch(
        self,
        states: Sequence[TrackState],
        images: Sequence[Image],
        *,
        times: Sequence[float | None] | None = None,
        detect: Sequence[bool | None] | None = None,
        boxes: Sequence[Any] | None = None,
        known: Sequence[Poses | None] | None = None,
    ) -> list[Poses]:
        """One frame each of several streams; all their people share the pose network's calls.

        Args:
            states: One per stream, each at most once.
            images: As many.
            times: See :meth:`__call__`.
            detect: See :meth:`__call__`.
            boxes: See :meth:`__call__`.
            known: Poses estimated before in some of these boxes; in boxes of the same coordinates
                they are not again.
        """
        n = len(states)
        if len(images) != n or len({id(s) for s in states}) != n:
            raise InputError(f"{n} different states need as many images, not {len(images)}")
        plans = []
        for i, (state, image) in enumerate(zip(states, images, strict=True)):
            check_image(image)
            now, step = state.step(times[i] if times else None)
            self._predict(state, step)
            found = self._detections(
                state, image, detect[i] if detect else None, boxes[i] if boxes else None
            )
            plans.append((now, self._merge(state, found)))
        poses = self._poses(images, [plan[1] for plan in plans], known or [None] * n)
        return [
            self._finish(state, found, now, image.shape[:2])
            for state, found, (now, _), image in zip(states, poses, plans, images, strict=True)
        ]

    def wants_detection(self, state: TrackState) -> bool:
        """Whether the detector's turn has come in the next frame of this stream."""
        return state.frames % self.params.det_interval == 0

    # ---- boxes
    # -------------------------------------------------------------------------------------------------

    def _predict(self, state: TrackState, step: float) -> None:
        for track in state.tracks:
            track.missing_s += step
            if track.missing:
                track.filter.coast(step)
            before = track.filter.box
            track.predicted = track.filter.predict(step)
            moved = ((track.predicted[:2] + track.predicted[2:]) - (before[:2] + before[2:])) / 2
            track.moved = np.asarray(moved, np.float32)

    def _detections(
        self, state: TrackState, image: Image, detect: bool | None, boxes: Any
    ) -> Detections | None:
        """What the detector finds; None where it is not its turn."""
        wanted = self.wants_detection(state) if detect is None else detect
        state.frames += 1
        p = self.params
        if boxes is not None:
            found = boxes if isinstance(boxes, Detections) else Detections.from_boxes(boxes)
        elif wanted and self.detector is not None:
            found = find(self.detector, image, p.det_thr)
        else:
            return None
        keep = self.sure(found)
        keep |= self._doubtful(state, found, keep)
        return found[keep]

    def sure(self, found: Detections) -> np.ndarray:
        """Which detections are people, whoever was there before ``(N,)``."""
        p = self.params
        return np.asarray((found.scores >= p.det_thr) & self._eligible(found))

    def _eligible(self, found: Detections) -> np.ndarray:
        p = self.params
        right = found.labels == p.det_label
        return (
            right & (box_size(found.boxes) >= p.det_min_bbox_size)
            if p.det_min_bbox_size > 0
            else right
        )

    def _doubtful(self, state: TrackState, found: Detections, sure: np.ndarray) -> np.ndarray:
        """Weak detections where a known person is expected and no sure one is (as ByteTrack does,
        ECCV 2022).
        """
        weak = ~sure & self._eligible(found) & (found.scores >= DOUBTFUL)
        if not weak.any() or not state.tracks:
            return np.zeros(len(found), bool)
        expected = np.stack([t.predicted for t in state.tracks])
        if sure.any():
            taken = box_iou(expected, found.boxes[sure]).max(axis=1) > 0.5
            expected = expected[~taken]
        if not len(expected):
            return np.zeros(len(found), bool)
        return np.asarray(weak & (box_iou(found.boxes, expected).max(axis=1) > 0.3))

    def _merge(self, state: TrackState, found: Detections | None) -> Detections:
        """Detected boxes, and those of people the detector does not see, are where poses are looked
        for.
        """
        p = self.params
        followed = [t for t in state.tracks if t.follow and t.missing <= 1]
        boxes = np.array([t.box + np.tile(t.moved, 2) for t in followed], np.float32).reshape(-1, 4)
        scores = np.array([t.box_score for t in followed], np.float32)
        if found is not None and len(found) and len(boxes):
            same = box_iou(boxes, found.boxes).max(axis=1) > p.det_nms_thr
            same |= contained(boxes, found.boxes)
            boxes, scores = boxes[~same], scores[~same]
        if found is not None:
            boxes = np.concatenate([found.boxes, boxes])
            scores = np.concatenate([found.scores, scores])
        if len(boxes) and p.pose_min_bbox_size > 0:
            large = box_size(boxes) >= p.pose_min_bbox_size
            boxes, scores = boxes[large], scores[large]
        if p.pose_max_num_bboxes >= 0:
            first = np.argsort(-scores, kind="stable")[: p.pose_max_num_bboxes]
            boxes, scores = boxes[first], scores[first]
        return Detections(boxes.reshape(-1, 4), scores, np.zeros(len(boxes), np.int64))

    def _poses(
        self, images: Sequence[Image], wanted: Sequence[Detections], known: Sequence[Poses | None]
    ) -> list[Poses]:
        """The poses in the boxes of each image, as far as they are not known."""
        rows = [_rows_of(boxes, poses) for boxes, poses in zip(wanted, known, strict=True)]
        found = self.pose.estimate_batch(
            images, [boxes[row < 0] for boxes, row in zip(wanted, rows, strict=True)]
        )
        return [
            new if poses is None else _joined(boxes, row, poses, new)
            for boxes, row, poses, new in zip(wanted, rows, known, found, strict=True)
        ]

    # ---- poses
    # -------------------------------------------------------------------------------------------------

    def _finish(self, state: TrackState, poses: Poses, now: float, shape: tuple[int, ...]) -> Poses:
        """Poses of a frame to people with ids."""
        p = self.params
        boxes, seen = pose_boxes(poses, p.pose_kpt_thr, p.pose_bbox_scale)
        enough = seen >= p.least_keypoints(len(poses.skeleton))
        if p.pose_min_bbox_size > 0:
            enough &= box_size(boxes) >= p.pose_min_bbox_size
        # Who can hardly be seen stays, if the detector found them; but is not followed by
        # keypoints.
        boxes = np.where(enough[:, None], boxes, poses.boxes).astype(np.float32)
        kept = distinct(poses, boxes, p.pose_nms_thr)
        poses, boxes, enough = poses[kept], boxes[kept], enough[kept]
        matched = self._assign(state, poses, boxes)
        order: list[tuple[Track, int]] = []
        for row, track in matched.items():
            self._update(track, poses, boxes[row], row, bool(enough[row]), now)
            order.append((track, row))
        # A second pose of somebody who is there looks like a newcomer in the same place: it has to
        # last.
        doubled = nested(boxes, boxes[sorted(matched)])
        for row in range(len(poses)):
            if row not in matched and enough[row]:
                order.append((self._start(state, poses, boxes[row], row, bool(doubled[row])), row))
        current = {id(t) for t, _ in order}
        for track in state.tracks:
            if id(track) not in current:
                track.missing += 1
                track.smoother = None
        outside = [t for t in state.tracks if t.missing and _left(t, shape)]
        state.tracks = [
            t
            for t in state.tracks
            if _remembered(t, p) and not (t.hits < p.confirm and t.missing > 1) and t not in outside
        ]
        shown = [(t, row) for t, row in order if t.id > 0]
        shown.sort(key=lambda pair: pair[0].id)
        rows = [row for _, row in shown]
        for track, _ in shown:
            kept_poses = state.history.setdefault(track.id, deque(maxlen=p.track_history_size))
            kept_poses.append(np.concatenate([track.keypoints, track.scores[:, None]], axis=1))
        alive = {t.id for t in state.tracks}
        state.history = {k: v for k, v in state.history.items() if k in alive}
        places = self._places([track for track, _ in shown], now)
        k = len(poses.skeleton)
        return Poses(
            poses.boxes[rows],
            poses.box_scores[rows],
            places.reshape(-1, k, 2),
            np.array([t.scores for t, _ in shown], np.float32).reshape(-1, k),
            poses.skeleton,
            np.array([t.id for t, _ in shown], np.int64),
            poses.calibration,
        )

    def _places(self, tracks: list[Track], now: float) -> FloatArray:
        """The keypoints to show ``(N, K, 2)``: smoothed, or as they are."""
        found = np.array([t.keypoints for t in tracks], np.float32)
        if self.params.smooth == "off" or not tracks:
            return found
        for track in tracks:
            if track.smoother is None:
                track.smoother = OneEuro(*self.params.smooth_params)
        return smooth_together([t.smoother for t in tracks if t.smoother is not None], found, now)

    def _assign(self, state: TrackState, poses: Poses, boxes: FloatArray) -> dict[int, Track]:
        """Pose rows to tracks: first those in sight, then newcomers who are not confirmed, then
        those lost.
        """
        from scipy.optimize import linear_sum_assignment

        matched: dict[int, Track] = {}
        free = list(range(len(poses)))
        here = [t for t in state.tracks if not t.missing]
        rounds = (
            [t for t in here if t.id > 0],
            [t for t in here if t.id < 0],
            [t for t in state.tracks if t.missing],
        )
        for tracks in rounds:
            lost = tracks is rounds[-1]
            if not tracks or not free:
                continue
            similar = self._similarity(tracks, poses[free], boxes[free], lost)
            rows, columns = linear_sum_assignment(-similar)
            for r, c in zip(rows, columns, strict=True):
                if similar[r, c] > 0:
                    matched[free[c]] = tracks[r]
            free = [row for row in free if row not in matched]
        return matched

    def _similarity(
        self, tracks: list[Track], poses: Poses, boxes: FloatArray, lost: bool
    ) -> FloatArray:
        """``(tracks, poses)``: overlap of the predicted box and likeness of the pose; 0 where it
        cannot be.
        """
        p, sigmas = self.params, poses.skeleton.sigmas
        predicted = np.stack([t.predicted for t in tracks])
        overlap = np.asarray(box_iou(predicted, boxes), np.float64)
        likeness = overlap
        if sigmas:
            points = np.concatenate([poses.keypoints, poses.scores[..., None]], axis=2)
            places = np.stack([t.keypoints + t.moved for t in tracks])
            own = np.concatenate([places, np.stack([t.scores for t in tracks])[..., None]], axis=2)
            areas, sizes = box_size(boxes) ** 2, box_size(predicted) ** 2
            # Wider than the evaluation's tolerance: people move from frame to frame.
            likeness = np.asarray(
                oks_pairs(own, points, 2 * sizes, 2 * areas, sigmas, 0.2), np.float64
            )
        value = 0.5 * (overlap + likeness)
        possible = (overlap >= p.track_iou_thr) | (likeness >= max(p.track_iou_thr, 0.3))
        if lost:
            # The long side, as a person who curls up or falls is no longer tall but still about as
            # long.
            length = (predicted[:, 2:] - predicted[:, :2]).max(axis=1)
            theirs = np.maximum((boxes[:, 2:] - boxes[:, :2]).max(axis=1), 1)
            reach = LOST_REACH * length * (1 + 0.1 * np.array([t.missing for t in tracks]))
            center = (predicted[:, :2] + predicted[:, 2:]) / 2
            gap = np.linalg.norm(
                center[:, None] - ((boxes[:, :2] + boxes[:, 2:]) / 2)[None], axis=2
            )
            ratio = length[:, None] / theirs[None]
            alike = (ratio > 0.5) & (ratio < 2)
            near = gap / reach[:, None]
            value = np.maximum(value, 1e-3) * (1 + np.maximum(0, 1 - near))
            possible |= (near < 1) & alike
        return np.asarray(np.where(possible, value, 0.0))

    def _update(
        self, track: Track, poses: Poses, box: FloatArray, row: int, follow: bool, now: float
    ) -> None:
        keypoints, scores = poses.keypoints[row], poses.scores[row]
        if self.params.repair_swaps and not track.missing and track.hits >= 3:
            keypoints, scores = repair_swaps(track, keypoints, scores, poses.skeleton)
        track.keypoints, track.scores, track.box = keypoints, scores, box
        track.box_score = float(poses.box_scores[row])
        track.filter.update(box)
        # A box that is only followed is no sighting of a newcomer: there has to be a pose in it.
        track.hits += follow or track.id > 0
        track.missing, track.missing_s, track.follow = 0, 0.0, follow
        if track.id < 0 and track.hits >= self.params.confirm:
            track.id = -track.id

    def _start(
        self, state: TrackState, poses: Poses, box: FloatArray, row: int, doubled: bool
    ) -> Track:
        p = self.params
        sure = float(poses.scores[row].mean()) >= SURE_NEWCOMER and not doubled
        sure |= p.confirm <= 1 or state.frames <= 1
        number = state.new_id()
        track = Track(
            number if sure else -number,
            BoxFilter(box, p.std_weight_position, p.std_weight_velocity),
            poses.keypoints[row],
            poses.scores[row],
            box,
            float(poses.box_scores[row]),
            None,
        )
        state.tracks.append(track)
        return track


def find(detector: Detector | None, image: Image, det_thr: float) -> Detections:
    """Boxes down to the score that is worth a look where somebody is expected; without a detector
    the whole image.
    """
    if detector is None:
        height, width = image.shape[:2]
        return Detections.from_boxes(np.array([[0, 0, width, height]], np.float32))
    return detector(image, score_thr=min(det_thr, DOUBTFUL))


def _rows_of(wanted: Detections, known: Poses | None) -> NDArray[np.int64]:
    """For each box the row of the pose that is known in it, or -1."""
    if known is None:
        return np.full(len(wanted), -1)
    rows = {box.tobytes(): i for i, box in enumerate(known.boxes)}
    return np.array([rows.get(box.tobytes(), -1) for box in wanted.boxes], np.int64)


def _joined(boxes: Detections, rows: NDArray[np.int64], known: Poses, found: Poses) -> Poses:
    """Known poses, and those found in the other boxes, in the order of the boxes."""
    # Row i of ``found`` is for the i-th box without a known pose.
    source = np.where(rows >= 0, rows, len(known) + np.cumsum(rows < 0) - 1)
    return replace(
        found,
        boxes=boxes.boxes,
        box_scores=boxes.scores,
        keypoints=np.concatenate([known.keypoints, found.keypoints])[source],
        scores=np.concatenate([known.scores, found.scores])[source],
    )


def _remembered(track: Track, p: TrackerParams) -> bool:
    """Whether a person out of sight may still come back."""
    well_known = track.hits >= WELL_KNOWN and track.missing_s <= p.remember_s
    return track.missing <= p.track_max_missing or well_known


def _left(track: Track, shape: tuple[int, ...]) -> bool:
    """Whether a missing person is expected wholly outside the picture."""
    x1, y1, x2, y2 = track.predicted
    return bool(x2 < 0 or y2 < 0 or x1 > shape[1] or y1 > shape[0])
