"""Whatever form a detector's outputs have, as detections."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rtmpose.errors import ModelError
from rtmpose.ops import rtmdet, yolo
from rtmpose.types import Detections

Arrays = Sequence[NDArray[np.generic]]

READ_FORMS = (
    "boxes (1, n, 5) with labels (1, n), in any order and with masks; boxes (1, n, 4), scores"
    " (1, n) and labels (1, n), with or without their number; candidates (1, A, 4) with scores"
    " (1, A, C);"
    " RTMDet's maps for three strides; YOLO's (1, n, 6), (1, A, 5 + C) or (1, 4 + C, A)"
)
"""What is read, in words for errors."""


def read_outputs(
    outputs: Arrays, score_thr: float, name: str, input_wh: tuple[int, int] | None = None
) -> Detections:
    """Detections in input pixels, in the network's order.

    Args:
        outputs: One of :data:`READ_FORMS`: with the suppression inside; or candidates as ``rtmpose
            export --no-nms`` writes them; or RTMDet's three joined maps ``(1, H, W, C + 4)`` or its
            six class and box maps ``(1, C or 4, H, W)``; or what the YOLO families return
            (:mod:`rtmpose.ops.yolo`).
        score_thr: Used where suppression happens here; other outputs are returned as they are.
        name: Names the model in errors.
        input_wh: Width and height of the input, which YOLO's grids need.

    Raises:
        ModelError: the outputs have none of these forms.
    """
    shapes = [o.shape for o in outputs]
    ranks = [len(shape) for shape in shapes]

    # Suppression costs little from 0.05 up, and callers filter by their own threshold later.
    thr = min(score_thr, 0.05)

    # Suppression inside: boxes with scores, and labels.
    # Compared with None: nobody is a result too, and empty detections count as false.
    suppressed = _suppressed(outputs)
    if suppressed is None:
        suppressed = _apart(outputs)
    if suppressed is not None:
        return suppressed
    arrays = [np.asarray(o, np.float32) for o in outputs]

    # Suppression here: decoded candidates with their scores ...
    if ranks == [3, 3] and shapes[0] == (*shapes[1][:2], 4):
        return rtmdet.suppress(arrays[0][0], arrays[1][0], score_thr=thr)
    if ranks == [3] and input_wh is not None:
        form = yolo.form_of(shapes[0], input_wh)
        if form is not None:
            return yolo.decode_boxes(arrays[0], form, input_wh, thr)

    # ... or the head's maps, joined or apart.
    if ranks == [4, 4, 4] and all(shape[-1] >= 5 for shape in shapes):
        return rtmdet.decode(*rtmdet.split_channels_last(arrays), score_thr=thr)
    if ranks == [4] * 6:
        boxes = [a[0] for a in arrays if a.shape[1] == 4]
        classes = [a[0] for a in arrays if a.shape[1] != 4]
        if len(boxes) == len(classes) == 3:
            return rtmdet.decode(classes, boxes, score_thr=thr)
    raise ModelError(
        f"{name} is not a detector of a known form: it returns arrays of shape {shapes}; read are"
        f" {READ_FORMS}"
    )


def _suppressed(outputs: Arrays) -> Detections | None:
    """Boxes with scores ``(1, n, 5)`` and labels, in any order; masks are left out."""
    boxes = [o for o in outputs if o.ndim == 3 and o.shape[0] == 1 and o.shape[2] == 5]
    if len(boxes) != 1 or not 2 <= len(outputs) <= 3:
        return None
    dets = np.asarray(boxes[0][0], np.float32)

    # The engine may return labels as (1, n) or (n,), and more than one for each box.
    rest = [o for o in outputs if o is not boxes[0]]
    labels = [o for o in rest if o.ndim <= 2]
    masks = [o for o in rest if o.ndim >= 3]
    if len(labels) != 1 or len(masks) > 1 or labels[0].size < len(dets):
        return None
    classes = labels[0].reshape(-1)[: len(dets)].astype(np.int64)
    return Detections(dets[:, :4], dets[:, 4], classes)


def _apart(outputs: Arrays) -> Detections | None:
    """Boxes ``(1, n, 4)``, scores and labels ``(1, n)``, with or without their number in front."""
    boxes = [o for o in outputs if o.ndim == 3 and o.shape[0] == 1 and o.shape[2] == 4]
    if len(boxes) != 1 or len(outputs) not in (3, 4):
        return None
    count = boxes[0].shape[1]

    # Scores are fractions, labels whole numbers; a number of boxes stands first.
    head = outputs[0] if len(outputs) == 4 else None
    rest = [o for o in outputs if o is not boxes[0] and o is not head]
    flat = [o.reshape(-1) for o in rest if o.ndim <= 2 and o.size == count]
    scores = [o for o in flat if np.issubdtype(o.dtype, np.floating)]
    labels = [o for o in flat if np.issubdtype(o.dtype, np.integer)]
    if len(scores) != 1 or len(labels) != 1 or (head is not None and head.size != 1):
        return None
    n = count if head is None else min(count, max(0, int(head.reshape(-1)[0])))
    return Detections(
        np.asarray(boxes[0][0, :n], np.float32),
        np.asarray(scores[0][:n], np.float32),
        labels[0][:n].astype(np.int64),
    )
