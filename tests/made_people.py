"""People at known places, a pose network that sees them, and scenes for the tracker."""

import numpy as np

from rtmpose import Detections, get_skeleton
from rtmpose.types import Poses

SKELETON = get_skeleton("coco17")
# A standing person within a box of height 1, center 0.
BODY = np.array(
    [
        [0, -0.45], [0.02, -0.47], [-0.02, -0.47], [0.05, -0.45], [-0.05, -0.45],
        [0.1, -0.33], [-0.1, -0.33], [0.14, -0.18], [-0.14, -0.18], [0.15, -0.05], [-0.15, -0.05],
        [0.07, 0.0], [-0.07, 0.0], [0.08, 0.22], [-0.08, 0.22], [0.08, 0.45], [-0.08, 0.45],
    ]
)  # fmt: skip


BLACK = np.zeros((480, 1000, 3), np.uint8)


class Crowd:
    """People at known places, and a pose network that sees whoever fills most of a box."""

    skeleton = SKELETON

    def __init__(self):
        self.people = {}  # name -> (x, y, height)
        self.jitter = np.random.default_rng(0)
        self.noise = 0.0
        self.swap = set()

    def points(self, name):
        x, y, height = self.people[name]
        points = BODY * height + [x, y]
        if name in self.swap:
            points = points[list(SKELETON.flip_indices)]
        return points

    def box(self, name, margin=0.03):
        points = self.points(name)
        height = self.people[name][2]
        return np.array(
            [*(points.min(0) - margin * height), *(points.max(0) + margin * height)], np.float32
        )

    def boxes(self, missing=()):
        names = [n for n in self.people if n not in missing]
        return Detections.from_boxes(
            np.array([self.box(n) for n in names], np.float32).reshape(-1, 4), [0.9] * len(names)
        )

    def estimate_batch(self, images, detections):
        out = []
        for found in detections:
            keypoints, scores = (
                np.zeros((len(found), 17, 2), np.float32),
                np.full((len(found), 17), 0.05, np.float32),
            )
            for i, box in enumerate(found.boxes):
                best, most = None, 0.25
                for name in self.people:
                    own = self.box(name)
                    low, high = np.maximum(own[:2], box[:2]), np.minimum(own[2:], box[2:])
                    shared = np.prod(np.maximum(high - low, 0))
                    union = np.prod(own[2:] - own[:2]) + np.prod(box[2:] - box[:2]) - shared
                    if shared / union > most:
                        best, most = name, shared / union
                if best is not None:
                    keypoints[i] = self.points(best) + self.jitter.normal(0, self.noise, (17, 2))
                    scores[i] = 0.9
            out.append(Poses(found.boxes, found.scores, keypoints, scores, SKELETON))
        return out


def nearest(crowd, poses):
    """True name -> id of the pose at that place."""
    found = {}
    for name, (x, y, height) in crowd.people.items():
        if len(poses):
            distance = np.linalg.norm(poses.keypoints[:, 11:13].mean(axis=1) - [x, y], axis=1)
            if distance.min() < 0.3 * height:
                found[name] = int(poses.ids[distance.argmin()])
    return found


def follow(tracker, crowd, frames, fps, place, missing=lambda f, t: ()):
    """Run a scene; the id of every person in every frame."""
    seen = []
    for f in range(frames):
        t = f / fps
        crowd.people = place(t)
        poses = tracker(BLACK, time_s=t, boxes=crowd.boxes(missing(f, t)))
        assert len(set(poses.ids.tolist())) == len(poses)
        seen.append(nearest(crowd, poses))
    return seen


def ids_of(seen, name):
    return [s[name] for s in seen if name in s]
