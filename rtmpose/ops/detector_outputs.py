"""Whatever form a detector's outputs have, as detections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtmpose.errors import ModelError
from rtmpose.ops import rtmdet
from rtmpose.types import Detections


def read_outputs(outputs: Sequence[NDArray[Any]], score_thr: float, name: str) -> Detections:
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
    thr = min(score_thr, 0.05)
    if len(outputs) == 2 and outputs[0].ndim == 3 and shapes[0][-1] == 5:
        dets = outputs[0][0].astype(np.float32, copy=False)
        return Detections(
            dets[:, :4], dets[:, 4], outputs[1].reshape(-1)[: len(dets)].astype(np.int64)
        )
    if len(outputs) == 2 and all(o.ndim == 3 for o in outputs) and shapes[0] == (*shapes[1][:2], 4):
        return rtmdet.suppress(outputs[0][0], outputs[1][0], score_thr=thr)
    if len(outputs) == 3 and all(o.ndim == 4 and o.shape[-1] >= 5 for o in outputs):
        return rtmdet.decode(*rtmdet.split_channels_last(outputs), score_thr=thr)
    if len(outputs) == 6 and all(o.ndim == 4 for o in outputs):
        boxes = [o[0] for o in outputs if o.shape[1] == 4]
        classes = [o[0] for o in outputs if o.shape[1] != 4]
        if len(boxes) == len(classes) == 3:
            return rtmdet.decode(classes, boxes, score_thr=thr)
    raise ModelError(
        f"{name} is not a detector of a known form: it returns arrays of shape {shapes}; expected"
        " boxes (1, n, 5) with labels (1, n), candidates (1, A, 4) with scores (1, A, C), or"
        " RTMDet's maps for three strides"
    )
