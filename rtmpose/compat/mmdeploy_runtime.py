"""The classes of ``mmdeploy_runtime`` with its call signatures, on this package's runtime.

``from rtmpose.compat.mmdeploy_runtime import Detector, PoseDetector`` in place of ``from
mmdeploy_runtime import ...`` reads the same model folders. Unlike the original, crops are not
rounded to whole pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rtmpose.backends import BackendOptions
from rtmpose.detector import Detector as _Detector
from rtmpose.errors import InputError
from rtmpose.people import pose_boxes
from rtmpose.pose_estimator import PoseEstimator
from rtmpose.tracking import PoseTracker as _PoseTracker
from rtmpose.tracking import TrackerParams, TrackState
from rtmpose.types import FloatArray, Image

__all__ = ["Detector", "PoseDetector", "PoseTracker", "PoseTrackerState"]

SCORE_FLOOR = 0.05


def _options(device_name: str, device_id: int) -> BackendOptions:
    device = (
        device_name if device_name == "cpu" or ":" in device_name else f"{device_name}:{device_id}"
    )
    return BackendOptions(device=device, precision="fp32")


class Detector:
    """Finds objects.

    Args:
        model_path: Folder written for the deployment SDK, or any model this package opens.
        device_name: ``cpu`` or ``cuda``.
        device_id: Number of the GPU.
    """

    def __init__(
        self, model_path: str | Path, device_name: str = "cpu", device_id: int = 0
    ) -> None:
        path = Path(model_path) if Path(model_path).exists() else str(model_path)
        self._detector = _Detector(
            path, options=_options(device_name, device_id), box_thr=SCORE_FLOOR, label=None
        )

    def __call__(self, img: Image) -> tuple[FloatArray, NDArray[np.int32], list[object]]:
        """Boxes with scores ``(n, 5)`` float32, labels ``(n,)`` int32, and no masks, for a BGR
        image.
        """
        found = self._detector(img)
        boxes = np.concatenate([found.boxes, found.scores[:, None]], axis=1)
        return boxes.astype(np.float32), found.labels.astype(np.int32), []

    def batch(
        self, imgs: Sequence[Image]
    ) -> list[tuple[FloatArray, NDArray[np.int32], list[object]]]:
        """The same for several images."""
        return [self(img) for img in imgs]


class PoseDetector:
    """Finds keypoints in boxes.

    Args:
        model_path: Folder written for the deployment SDK, or any model this package opens.
        device_name: ``cpu`` or ``cuda``.
        device_id: Number of the GPU.
    """

    def __init__(
        self, model_path: str | Path, device_name: str = "cpu", device_id: int = 0
    ) -> None:
        path = Path(model_path) if Path(model_path).exists() else str(model_path)
        self._pose = PoseEstimator(path, options=_options(device_name, device_id))

    def __call__(self, img: Image, bboxes: ArrayLike | None = None) -> FloatArray:
        """Keypoints ``(n, K, 3)`` float32 x, y, score.

        Args:
            img: BGR image.
            bboxes: One box ``(4,)`` or several ``(n, 4)`` x1, y1, x2, y2; without it the whole
                image.
        """
        return self.batch([img], None if bboxes is None else [bboxes])[0]

    def batch(
        self, imgs: Sequence[Image], bboxes: Sequence[ArrayLike] | None = None
    ) -> list[FloatArray]:
        """The same for several images; all their people share the network's batches."""
        if bboxes is None:
            bboxes = [np.array([[0, 0, img.shape[1], img.shape[0]]], np.float32) for img in imgs]
        if len(bboxes) != len(imgs):
            raise InputError(
                f"{len(imgs)} images need {len(imgs)} sets of boxes, not {len(bboxes)}"
            )
        boxes = [np.asarray(b, np.float32).reshape(-1, 4) for b in bboxes]
        results = self._pose.estimate_batch(list(imgs), boxes)
        return [
            np.concatenate([r.keypoints, r.scores[..., None]], axis=2).astype(np.float32)
            for r in results
        ]


class PoseTracker:
    """Tracks people through videos.

    Args:
        det_model: Folder or model of the detector.
        pose_model: Folder or model of the pose network.
        device_name: ``cpu`` or ``cuda``.
        device_id: Number of the GPU.
    """

    def __init__(
        self,
        det_model: str | Path,
        pose_model: str | Path,
        device_name: str = "cpu",
        device_id: int = 0,
    ) -> None:
        options = _options(device_name, device_id)
        paths = [Path(m) if Path(m).exists() else str(m) for m in (det_model, pose_model)]
        self._detector = _Detector(paths[0], options=options, label=None)
        self._pose = PoseEstimator(paths[1], options=options)

    def create_state(self, **params: Any) -> PoseTrackerState:
        """The memory of one video; keywords are the fields of
        :class:`rtmpose.tracking.TrackerParams`.

        Raises:
            InputError: an unknown setting.
        """
        try:
            # As the original forgets, and takes whoever its detector is sure of.
            original = {"remember_s": 0.0, "person_thr": 0.0, "det_thr": 0.5}
            settings = TrackerParams(**{**original, **params})
        except TypeError as error:
            raise InputError(f"create_state does not know that setting: {error}") from error
        tracker = _PoseTracker(self._detector, self._pose, settings)
        return PoseTrackerState(tracker, tracker.state)

    def __call__(
        self, state: PoseTrackerState, frame: Image, detect: int = -1
    ) -> tuple[FloatArray, FloatArray, NDArray[np.uint32]]:
        """Keypoints ``(n, K, 3)``, boxes ``(n, 4)`` and ids ``(n,)`` from 0 on, for the next BGR
        frame.

        Args:
            state: From :meth:`create_state`.
            frame: BGR image.
            detect: 1 runs the detector, 0 does not, -1 leaves it to ``det_interval``.
        """
        poses = state.tracker(frame, detect=None if detect < 0 else bool(detect))
        points = np.concatenate([poses.keypoints, poses.scores[..., None]], axis=2)
        assert poses.ids is not None
        boxes, _ = pose_boxes(
            poses, state.tracker.params.pose_kpt_thr, state.tracker.params.pose_bbox_scale
        )
        # The original counts from 0.
        return points.astype(np.float32), boxes, (poses.ids - 1).astype(np.uint32)


@dataclass(frozen=True, eq=False)
class PoseTrackerState:
    """The memory of one video. Attributes: ``tracker`` and its ``state``."""

    tracker: _PoseTracker
    state: TrackState
