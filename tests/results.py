"""Made-up results of frames, for the tests of what writes them."""

import numpy as np

from rtmpose import get_skeleton
from rtmpose.types import Poses
from rtmpose.writers import FrameRecord, WriterContext

SKELETON = get_skeleton("coco17")
CONTEXT = WriterContext(SKELETON, fps=10)


def poses(n=2, seed=0, ids=None):
    rng = np.random.default_rng(seed)
    return Poses(
        np.tile(np.array([[1, 2, 31, 62]], np.float32), (n, 1)),
        np.full(n, 0.5, np.float32),
        rng.uniform(0, 60, (n, 17, 2)).astype(np.float32),
        np.full((n, 17), 0.8, np.float32),
        SKELETON,
        None if ids is None else np.array(ids, np.int64),
    )


def record(source="v.mp4", index=0, people=None, **rest):
    return FrameRecord(source, index, index / 10, poses() if people is None else people, **rest)
