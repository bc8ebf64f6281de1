"""The pose tracker: detection now and then, poses in every frame, one id per person.

The way of a frame: predict every track's box -> detect, or not -> merge detected and followed boxes
-> poses of all in one call -> drop duplicates -> assign poses to tracks (Hungarian) -> repair,
smooth, give ids. One-stage models see the whole frame every time: their people take the place of
detection, merging and poses.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rtmpose.backends import BackendOptions
from rtmpose.detector import DEFAULT_DETECTOR, Detector
from rtmpose.errors import InputError
from rtmpose.families import BoxModel, CropModel, ModelName, PoseModel, open_model
from rtmpose.image_inputs import as_image
from rtmpose.keywords import check_keywords, checked_keywords, keywords_of
from rtmpose.model_card import ModelCard
from rtmpose.one_stage import OneStage
from rtmpose.people import box_size, distinct, extents, person_thr_for
from rtmpose.pose_estimator import DEFAULT_POSE_MODEL, Boxes, PoseEstimator, as_detections
from rtmpose.tracking.association import assign
from rtmpose.tracking.boxes import nested
from rtmpose.tracking.candidates import (
    DOUBTFUL_THR,
    Mask,
    accepted,
    join_precomputed,
    merge,
    of_people_seen,
    precomputed_rows,
)
from rtmpose.tracking.live_smoothing import shown_keypoints
from rtmpose.tracking.params import PARAM_NAMES, TrackerParams, with_settings
from rtmpose.tracking.state import Track, TrackState
from rtmpose.tracking.track_steps import (
    forget_tracks,
    predict_tracks,
    start_track,
    update_track,
)
from rtmpose.types import Detections, FloatArray, Image, Poses, Skeleton, check_image


class PoseTracker:
    """Follows people through videos; see the module's text for the way of a frame.

    Args:
        detector: A zoo name, path or URL, an opened :class:`rtmpose.Detector`, or None: then boxes
            come with the frames, unless ``whole_image``. One-stage models need none.
        pose: A zoo name, path or URL, an opened :class:`rtmpose.PoseEstimator` or
            :class:`rtmpose.OneStage`, or a model of any family.
        params: Settings.
        backend: See :class:`rtmpose.Pipeline`; this and the rest are for models not opened yet.
        device: See :class:`rtmpose.Pipeline`.
        threads: See :class:`rtmpose.Pipeline`.
        precision: See :class:`rtmpose.Pipeline`.
        allow_spinning: See :class:`rtmpose.Pipeline`.
        whole_image: Without a detector, every whole frame is the box of one person with one id.
        skeleton: See :class:`rtmpose.Pipeline`.
        antialias: See :class:`rtmpose.Pipeline`.
        **settings: Single settings of :class:`rtmpose.TrackerParams`, such as ``det_interval=5``.

    One instance may serve many streams, each with its own state (:meth:`create_state`);
    calling the tracker itself uses a state that belongs to it. Two trackers share nothing.

    Attributes:
        own_networks: Networks that this tracker opened.

    Raises:
        ModelError: a model is not available or is of the wrong kind.
        BackendError: engine or device are not available.
        InputError: a setting is unknown or makes no sense.
    """

    def __init__(
        self,
        detector: ModelName | BoxModel | None = DEFAULT_DETECTOR,
        pose: ModelName | CropModel | PoseModel = DEFAULT_POSE_MODEL,
        params: TrackerParams | None = None,
        *,
        backend: str = "auto",
        device: str = "auto",
        threads: int = 0,
        precision: str = "auto",
        allow_spinning: bool = False,
        whole_image: bool = False,
        skeleton: Skeleton | None = None,
        card: ModelCard | None = None,
        antialias: bool = False,
        **settings: Any,
    ) -> None:
        check_keywords("PoseTracker", settings, [*keywords_of(PoseTracker.__init__), *PARAM_NAMES])
        self.params = with_settings(params, settings)
        self.model: PoseModel = open_model(
            detector,
            pose,
            options=BackendOptions(backend, device, threads, allow_spinning, precision),  # type: ignore[arg-type]
            skeleton=skeleton,
            card=card,
            antialias=antialias,
            whole_image=whole_image,
        )
        self.state = TrackState()

        # What was given opened may be used elsewhere too.
        given = [detector, pose, *getattr(pose, "networks", ())]
        networks = self.model.networks
        self.own_networks = [n for n in networks if not any(n is other for other in given)]

    @property
    def skeleton(self) -> Skeleton:
        """The keypoint set of the poses."""
        return self.model.skeleton

    @property
    def detector(self) -> Detector | None:
        """The opened detector; None without one, and for one-stage models."""
        return self.model.detector

    @property
    def pose(self) -> PoseEstimator | OneStage:
        """The opened network that finds keypoints."""
        return self.model.pose

    def create_state(self) -> TrackState:
        """The memory for one more stream."""
        return TrackState()

    def reset(self) -> None:
        """Forget everybody; see :meth:`TrackState.reset`."""
        self.state.reset()

    @checked_keywords
    def __call__(
        self,
        image: object,
        *,
        time_s: float | None = None,
        detect: bool | None = None,
        boxes: Boxes | None = None,
        color: str = "bgr",
    ) -> Poses:
        """The people in the next frame, with ids.

        Args:
            image: As in a call of :class:`rtmpose.Pipeline`.
            time_s: Seconds of this frame; without it frames are taken to come 30 times a second.
            detect: Whether to run the detector now; None leaves it to ``det_interval``.
            boxes: Detected boxes ``(N, 4)`` or detections, to use instead of the detector.
            color: ``bgr`` or ``rgb``: order of the channels of arrays.

        Returns:
            Poses with ``ids``; people who are lost for the moment are not included.

        Raises:
            InputError: the image or the boxes are not usable, or boxes are given to a one-stage
                model.
        """
        images = [as_image(image, color)]
        return self.track_batch(
            [self.state], images, times=[time_s], detect=[detect], boxes=[boxes]
        )[0]

    def __enter__(self) -> PoseTracker:
        return self

    def __exit__(self, *error: object) -> None:
        self.reset()

    def __repr__(self) -> str:
        return f"PoseTracker({', '.join(f'{k} {v}' for k, v in self.model.describe().items())})"

    def track_batch(
        self,
        states: Sequence[TrackState],
        images: Sequence[Image],
        *,
        times: Sequence[float | None] | None = None,
        detect: Sequence[bool | None] | None = None,
        boxes: Sequence[Boxes | None] | None = None,
        precomputed: Sequence[Poses | None] | None = None,
    ) -> list[Poses]:
        """One frame each of several streams; all their people share the pose network's calls.

        Args:
            states: One per stream, each at most once.
            images: As many.
            times: See :meth:`__call__`.
            detect: See :meth:`__call__`.
            boxes: See :meth:`__call__`.
            precomputed: Poses estimated before in some of these boxes: boxes of the same
                coordinates are not estimated again. Of one-stage models: the people of the frame.
        """
        n = len(states)
        if len({id(s) for s in states}) != n:
            raise InputError("streams need different states: one is given twice")
        lists = {"images": images, "times": times, "detect": detect, "boxes": boxes}
        for name, values in lists.items():
            if values is not None and len(values) != n:
                raise InputError(f"{n} states need as many {name}, not {len(values)}")
        nothing = [None] * n

        # Where everybody should be by now.
        moments = []
        for state, image, time_s in zip(states, images, times or nothing, strict=True):
            check_image(image)
            now, step = state.step(time_s)
            predict_tracks(state, step)
            moments.append(now)

        if self.model.needs_boxes:
            found = self._poses_in_boxes(
                states, images, detect or nothing, boxes or nothing, precomputed or nothing
            )
        else:
            found = self._poses_in_frames(states, images, boxes or nothing, precomputed or nothing)

        # Who is who, stream by stream.
        return [
            self._finish(state, poses, now, image.shape[:2])
            for state, poses, now, image in zip(states, found, moments, images, strict=True)
        ]

    def wants_detection(self, state: TrackState) -> bool:
        """Whether the detector runs in the next frame of this stream."""
        return state.frames % self.params.det_interval == 0

    def find_people(self, image: Image, model: PoseModel | None = None) -> Detections:
        """Boxes down to the score that counts where somebody is expected; with ``whole_image`` that
        of the image.

        Args:
            image: BGR uint8 ``(H, W, 3)``.
            model: To use instead of the tracker's own.
        """
        return (model or self.model).detect(image, box_thr=self._lowest_thr)

    def find_poses(self, image: Image, model: PoseModel | None = None) -> Poses:
        """The people that a one-stage model finds, down to the score that counts where somebody is
        expected; arguments as in :meth:`find_people`.
        """
        return (model or self.model).estimate([image], box_thr=self._lowest_thr)[0]

    @property
    def _lowest_thr(self) -> float:
        return min(self.params.det_thr, DOUBTFUL_THR)

    # ---- top-down models: boxes, then the poses in them

    def _poses_in_boxes(
        self,
        states: Sequence[TrackState],
        images: Sequence[Image],
        detect: Sequence[bool | None],
        boxes: Sequence[Boxes | None],
        precomputed: Sequence[Poses | None],
    ) -> list[Poses]:
        """Poses in detected and followed boxes; those precomputed are not estimated again."""
        merged = []  # per stream: boxes to estimate in
        for state, image, run, given in zip(states, images, detect, boxes, strict=True):
            if self.model.whole_image:
                state.frames += 1
                whole = self.model.detect(image) if given is None else as_detections(given)
                merged.append(whole)
            else:
                found = self._detections(state, image, run, given)
                merged.append(merge(found, state.tracks, self.params))

        # Poses that are there already; -1 where a box has none.
        rows = [precomputed_rows(*pair) for pair in zip(merged, precomputed, strict=True)]
        unknown = [all_of[row < 0] for all_of, row in zip(merged, rows, strict=True)]
        estimated = self.model.estimate(images, unknown)  # one call for all streams

        found_poses = []
        for all_of, row, poses, new in zip(merged, rows, precomputed, estimated, strict=True):
            joined = new if poses is None else join_precomputed(all_of, row, poses, new)
            found_poses.append(of_people_seen(all_of, joined, self.params))
        return found_poses

    def _detections(
        self, state: TrackState, image: Image, detect: bool | None, boxes: Boxes | None
    ) -> Detections | None:
        """What the detector finds; None where it does not run."""
        run = self.wants_detection(state) if detect is None else detect
        state.frames += 1
        if boxes is not None:
            found = as_detections(boxes)
        elif run and self.model.finds_people:
            found = self.find_people(image)
        else:
            return None
        return found[accepted(found, state.tracks, self.params)]

    # ---- one-stage models: people of whole frames

    def _poses_in_frames(
        self,
        states: Sequence[TrackState],
        images: Sequence[Image],
        boxes: Sequence[Boxes | None],
        precomputed: Sequence[Poses | None],
    ) -> list[Poses]:
        """The people of each frame, confident or expected where they are."""
        if any(given is not None for given in boxes):
            raise InputError("a one-stage model finds people by itself: it takes no boxes")
        p = self.params
        found_poses = []
        for state, image, poses in zip(states, images, precomputed, strict=True):
            state.frames += 1
            people = self.find_poses(image) if poses is None else poses
            labels = np.full(len(people), max(p.det_label, 0), np.int64)
            found = Detections(people.boxes, people.box_scores, labels)

            keep = accepted(found, state.tracks, p)  # confident, or expected
            if p.pose_min_bbox_size > 0:
                keep &= box_size(people.boxes) >= p.pose_min_bbox_size
            people = people[keep]
            if p.pose_max_num_bboxes >= 0:
                people = people[: p.pose_max_num_bboxes]
            found_poses.append(people)
        return found_poses

    # ---- from poses to people with ids

    def _finish(self, state: TrackState, poses: Poses, now: float, shape: tuple[int, ...]) -> Poses:
        """Poses of a frame to people with ids."""
        poses, boxes, enough = self._distinct(poses)
        matched = assign(state.tracks, poses, boxes, self.params.track_iou_thr)

        # Everybody who is there, with the row of their pose.
        current: list[tuple[Track, int]] = []
        for row, track in matched.items():
            update_track(track, poses, row, boxes[row], self.params, follow=bool(enough[row]))
            current.append((track, row))

        # A second pose of somebody who is there looks like a new track in the same place: it has to
        # last before it counts.
        duplicate = nested(boxes, boxes[sorted(matched)])
        # Only new people have to be likely: those who are tracked may be unsure for a moment.
        given = 0.0 if self.model.whole_image else self.params.person_thr
        starts = enough & (poses.instance_scores >= person_thr_for(self.model.skeleton, given))
        for row in range(len(poses)):
            if row not in matched and starts[row]:
                track = start_track(
                    state, poses, row, boxes[row], self.params, duplicate=bool(duplicate[row])
                )
                current.append((track, row))

        forget_tracks(state, [track for track, _ in current], self.params, shape)

        # Tracks that are not confirmed have negative ids and are not shown.
        shown = sorted((pair for pair in current if pair[0].id > 0), key=lambda pair: pair[0].id)
        state.record([track for track, _ in shown], self.params.track_history_size)
        return self._shown_poses(poses, shown, now)

    def _distinct(self, poses: Poses) -> tuple[Poses, FloatArray, Mask]:
        """Poses without duplicates, the boxes they are followed by, and which have enough seen
        keypoints to be followed.
        """
        # The person of a whole frame is there whatever the keypoints score, and always in its box.
        if self.model.whole_image:
            return poses, poses.boxes, np.ones(len(poses), bool)

        p = self.params
        fewest = p.min_keypoints(len(poses.skeleton))
        # Who can hardly be seen stays if the detector found them, but is not followed by keypoints.
        boxes, enough = extents(
            poses, p.pose_kpt_thr, p.pose_bbox_scale, fewest, p.pose_min_bbox_size
        )
        kept = distinct(poses, boxes, p.pose_nms_thr)
        return poses[kept], boxes[kept], enough[kept]

    def _shown_poses(self, poses: Poses, shown: list[tuple[Track, int]], now: float) -> Poses:
        """What the caller gets: smoothed keypoints with ids, in the order of the ids."""
        tracks = [track for track, _ in shown]
        rows = [row for _, row in shown]

        # The reshapes keep the ranks where nobody is there.
        keypoints = shown_keypoints(tracks, self.params, now)
        k = len(poses.skeleton)
        return Poses(
            poses.boxes[rows],
            poses.box_scores[rows],
            keypoints.reshape(-1, k, 2),
            np.array([t.scores for t in tracks], np.float32).reshape(-1, k),
            poses.skeleton,
            np.array([t.id for t in tracks], np.int64),
            poses.calibration,
        )
