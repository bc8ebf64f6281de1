"""Made-up results of frames, for the tests of what writes them."""

import numpy as np

from rtmpose import get_skeleton
from rtmpose.types import Poses
from rtmpose.writers import FrameRecord, WriterContext

SKELETON = get_skeleton("coco17")
CONTEXT = WriterContext(
    SKELETON,
    fps=10,
    models={"pose": "p", "detector": "d"},
    frame_rates={"d/clip.mp4": 10.0, "v.mp4": 10.0},
)


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
    people = poses() if people is None else people
    rest = {"time_s": index / 10, "size_wh": (640, 480), **rest}
    return FrameRecord(source, index, poses=people, **rest)
