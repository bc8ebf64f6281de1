"""Whatever form a detector's outputs have, as detections."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rtmpose.errors import ModelError
from rtmpose.ops import rtmdet
from rtmpose.types import Detections


def read_outputs(outputs: Sequence[NDArray[np.generic]], score_thr: float, name: str) -> Detections:
    """Detections in input pixels, in the network's order.

    Args:
        outputs: Boxes ``(1, n, 5)`` with labels ``(1, n)``; or candidates ``(1, A, 4)`` with scores
            ``(1, A, C)``, as ``rtmpose export --no-nms`` writes them; or RTMDet's three joined maps
            ``(1, H, W, C + 4)``; or its six class and box maps ``(1, C or 4, H, W)``.
        score_thr: Used where suppression happens here; other outputs are returned as they are.
        name: Names the model in errors.

    Raises:
        ModelError: the outputs have none of these forms.
    """
    shapes = [o.shape for o in outputs]
    ranks = [len(shape) for shape in shapes]
    arrays = [np.asarray(o, np.float32) for o in outputs]

    # Suppression costs little from 0.05 up, and callers filter by their own threshold later.
    thr = min(score_thr, 0.05)

    # Suppression inside: boxes with scores, and labels.
    if len(outputs) == 2 and ranks[0] == 3 and shapes[0][-1] == 5:
        dets = arrays[0][0]
        # The engine may return (1, n) or (n,).
        labels = outputs[1].reshape(-1)[: len(dets)].astype(np.int64)
        return Detections(dets[:, :4], dets[:, 4], labels)

    # Suppression here: decoded candidates with their scores ...
    if ranks == [3, 3] and shapes[0] == (*shapes[1][:2], 4):
        return rtmdet.suppress(arrays[0][0], arrays[1][0], score_thr=thr)

    # ... or the head's maps, joined or apart.
    if ranks == [4, 4, 4] and all(shape[-1] >= 5 for shape in shapes):
        return rtmdet.decode(*rtmdet.split_channels_last(arrays), score_thr=thr)
    if ranks == [4] * 6:
        boxes = [a[0] for a in arrays if a.shape[1] == 4]
        classes = [a[0] for a in arrays if a.shape[1] != 4]
        if len(boxes) == len(classes) == 3:
            return rtmdet.decode(classes, boxes, score_thr=thr)
    raise ModelError(
        f"{name} is not a detector of a known form: it returns arrays of shape {shapes}; expected"
        " boxes (1, n, 5) with labels (1, n), candidates (1, A, 4) with scores (1, A, C), or"
        " RTMDet's maps for three strides"
    )
