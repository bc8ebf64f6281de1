"""Poses in the forms of other programs: COCO results, plain data, tables, supervision."""

from __future__ import annotations

import inspect
import math
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rtmpose.errors import MissingDependencyError

if TYPE_CHECKING:
    import pandas as pd
    import supervision

FloatArray = NDArray[np.float32]


class Names(Protocol):
    """What is needed of a skeleton."""

    @property
    def name(self) -> str:
        """Of the set."""
        ...

    @property
    def keypoints(self) -> tuple[str, ...]:
        """K names."""
        ...


class Poses(Protocol):
    """What is needed of :class:`rtmpose.Poses`, which calls these functions."""

    @property
    def boxes(self) -> FloatArray:
        """``(N, 4)``."""
        ...

    @property
    def box_scores(self) -> FloatArray:
        """``(N,)``."""
        ...

    @property
    def keypoints(self) -> FloatArray:
        """``(N, K, 2)``."""
        ...

    @property
    def scores(self) -> FloatArray:
        """``(N, K)``."""
        ...

    @property
    def ids(self) -> NDArray[np.int64] | None:
        """``(N,)``."""
        ...

    @property
    def skeleton(self) -> Names:
        """The K points."""
        ...

    @property
    def instance_scores(self) -> FloatArray:
        """``(N,)``."""
        ...


def coco_results(poses: Poses, image_id: int | str, category_id: int) -> list[dict[str, Any]]:
    """See :meth:`rtmpose.Poses.to_coco`."""
    # All numbers as rows of x, y, score; sizes instead of the second corners.
    rows = _points(poses).reshape(len(poses.boxes), 3 * len(poses.skeleton.keypoints))
    known = np.isfinite(rows).tolist()
    sizes = poses.boxes[:, 2:] - poses.boxes[:, :2]
    # As numbers of Python: those of NumPy are slow one by one.
    boxes = np.concatenate([poses.boxes[:, :2], sizes], axis=1).tolist()
    numbers = rows.tolist()
    scores = poses.instance_scores.tolist()
    box_scores = poses.box_scores.tolist()
    return [
        {
            "image_id": image_id,
            "category_id": category_id,
            "bbox": [round(v, 2) for v in boxes[i]],
            "score": round(scores[i], 5),
            "box_score": round(box_scores[i], 5),
            "keypoints": [
                round(v, 4) if k else None for v, k in zip(numbers[i], known[i], strict=True)
            ],
            **({} if poses.ids is None else {"track_id": int(poses.ids[i])}),
        }
        for i in range(len(poses.boxes))
    ]


def plain(poses: Poses) -> dict[str, Any]:
    """See :meth:`rtmpose.Poses.to_dict`."""
    names = poses.skeleton.keypoints
    points = _points(poses).tolist()
    people = []
    for i in range(len(poses.boxes)):
        person: dict[str, Any] = {} if poses.ids is None else {"id": int(poses.ids[i])}
        person["box"] = poses.boxes[i].tolist()
        person["box_score"] = float(poses.box_scores[i])
        person["score"] = float(poses.instance_scores[i])
        rows = [[_finite_or_none(v) for v in row] for row in points[i]]
        person["keypoints"] = dict(zip(names, rows, strict=True))
        people.append(person)
    return {"skeleton": poses.skeleton.name, "people": people}


def data_frame(poses: Poses) -> pd.DataFrame:
    """See :meth:`rtmpose.Poses.to_pandas`."""
    try:
        import pandas as pd
    except ImportError as error:
        raise MissingDependencyError(
            "Poses.to_pandas needs pandas: pip install 'rtmpose[pandas]'"
        ) from error
    n, k = poses.scores.shape
    columns: dict[str, object] = {"person": np.repeat(np.arange(n), k)}
    if poses.ids is not None:
        columns["id"] = np.repeat(poses.ids, k)
    columns["box_score"] = np.repeat(poses.box_scores, k)
    columns["keypoint"] = list(poses.skeleton.keypoints) * n
    columns["x"] = poses.keypoints[..., 0].reshape(-1)
    columns["y"] = poses.keypoints[..., 1].reshape(-1)
    columns["score"] = poses.scores.reshape(-1)
    return pd.DataFrame(columns)


def supervision_keypoints(poses: Poses) -> supervision.KeyPoints:
    """See :meth:`rtmpose.Poses.to_supervision`."""
    try:
        import supervision
    except ImportError as error:
        raise MissingDependencyError(
            "Poses.to_supervision needs the supervision package: pip install 'rtmpose[supervision]'"
        ) from error
    # Older ones refuse nobody with K keypoints.
    if not len(poses.boxes):
        return supervision.KeyPoints.empty()

    # One class, as the detector was asked for.
    data: dict[str, object] = {}
    values: dict[str, object] = {"class_id": np.zeros(len(poses.boxes), int), "data": data}
    if poses.ids is not None:
        data["tracker_id"] = poses.ids

    # The argument was renamed in supervision 0.29, which has one for the boxes too.
    parameters = inspect.signature(supervision.KeyPoints).parameters
    name = "keypoint_confidence" if "keypoint_confidence" in parameters else "confidence"
    values[name] = poses.scores
    boxes = values if "detection_confidence" in parameters else data
    boxes["detection_confidence"] = poses.box_scores
    return supervision.KeyPoints(xy=poses.keypoints, **values)


def _points(poses: Poses) -> NDArray[np.float32]:
    """``(N, K, 3)`` x, y, score."""
    return np.concatenate([poses.keypoints, poses.scores[..., None]], axis=2)


def _finite_or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
