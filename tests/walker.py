"""A made-up person seen from the side, whose angles are known."""

import numpy as np

from rtmpose import get_skeleton
from rtmpose.kinematics import ANGLES
from rtmpose.writers.clip import Clip

SIZE = (640, 480)
FPS = 60.0
LENGTHS = {
    "foot": 30, "shank": 60, "thigh": 62, "trunk": 80, "arm": 45, "forearm": 40, "head": 40,
}  # fmt: skip


def walking_angles(times, phase=0.0):
    """Joint angles in degrees and the trunk's direction, as functions of time."""
    turn = 2 * np.pi * times + phase
    angles = {"trunk": 86 + 3 * np.sin(2 * turn), "head": 80 + 4 * np.sin(turn)}
    for side, shift in (("left", 0.0), ("right", np.pi)):
        wave = turn + shift
        angles[f"{side}_hip_flexion"] = 10 + 22 * np.sin(wave)
        angles[f"{side}_knee_flexion"] = 30 + 25 * np.sin(wave + 1)
        angles[f"{side}_ankle_dorsiflexion"] = 5 + 10 * np.sin(wave + 2)
        angles[f"{side}_shoulder_flexion"] = -18 * np.sin(wave)
        angles[f"{side}_elbow_flexion"] = 30 + 12 * np.sin(wave + 3)
    return angles


def directions(angles):
    """Directions of all segments from joint angles."""
    known = {"trunk": angles["trunk"], "head": angles["head"]}
    for side in ("left", "right"):
        known[f"{side}_thigh"] = angles[f"{side}_hip_flexion"] + angles["trunk"] - 180
        known[f"{side}_shank"] = known[f"{side}_thigh"] - angles[f"{side}_knee_flexion"]
        known[f"{side}_foot"] = known[f"{side}_shank"] + angles[f"{side}_ankle_dorsiflexion"] + 90
        known[f"{side}_arm"] = angles[f"{side}_shoulder_flexion"] + angles["trunk"] - 180
        known[f"{side}_forearm"] = known[f"{side}_arm"] + angles[f"{side}_elbow_flexion"]
    return known


def expected(angles):
    """``(F, A)`` in the order of the columns."""
    every = {**directions(angles), **angles}
    return np.stack([every[name] for name in ANGLES], axis=1)


def points_of(angles, *, facing=1, turned=0.0, speed=40.0, times):
    """Points by their names, ``(F, 2)`` in pixels with y down; ``turned`` in degrees."""
    known = directions(angles)

    def step(start, name):
        part = name.rsplit("_", maxsplit=1)[-1]
        radians = np.radians(known[name] + turned)
        return start + LENGTHS[part] * np.stack([np.cos(radians), np.sin(radians)], axis=1)

    # From the hips on, y up and facing right.
    hip = np.stack([speed * times, np.zeros_like(times)], axis=1)
    points = {"hip": hip, "neck": step(hip, "trunk")}
    points["head"] = step(points["neck"], "head")
    ahead = np.radians(known["head"] + turned - 90)
    forward = np.stack([np.cos(ahead), np.sin(ahead)], axis=1)
    ears = (points["neck"] + points["head"]) / 2
    points |= {"nose": ears + 12 * forward, "left_eye": ears + 9 * forward}
    points |= {"right_eye": ears + 9 * forward, "left_ear": ears, "right_ear": ears}
    for side in ("left", "right"):
        points[f"{side}_hip"], points[f"{side}_shoulder"] = hip, points["neck"]
        points[f"{side}_knee"] = step(hip, f"{side}_thigh")
        points[f"{side}_ankle"] = step(points[f"{side}_knee"], f"{side}_shank")
        foot = step(np.zeros_like(hip), f"{side}_foot")
        points[f"{side}_heel"] = points[f"{side}_ankle"] - 0.3 * foot
        points[f"{side}_big_toe"] = points[f"{side}_heel"] + foot
        points[f"{side}_small_toe"] = points[f"{side}_heel"] + 0.9 * foot
        points[f"{side}_elbow"] = step(points[f"{side}_shoulder"], f"{side}_arm")
        points[f"{side}_wrist"] = step(points[f"{side}_elbow"], f"{side}_forearm")
    return {
        name: np.stack([320 + facing * (place[:, 0] - 80), 260 - place[:, 1]], axis=1)
        for name, place in points.items()
    }


def standing_angles(times):
    """Somebody who stands straight."""
    zero = np.zeros_like(times)
    return {name: zero + (90 if name in ("trunk", "head") else 0) for name in walking_angles(times)}


def walker(
    skeleton="halpe26",
    *,
    frames=240,
    fps=FPS,
    facing=1,
    turned=0.0,
    ids=(1,),
    source="walk.mp4",
    stands=False,
):
    """A clip with a walker per id, and the angles of each as ``(F, A)``."""
    keypoints = get_skeleton(skeleton)
    times = np.arange(frames) / fps
    places, truth = [], []
    for number in ids:
        angles = walking_angles(times, phase=0.7 * (number - 1))
        if stands:
            angles = standing_angles(times)
        speed = 0.0 if stands else 40.0
        points = points_of(angles, facing=facing, turned=turned, speed=speed, times=times)
        unknown = np.full((frames, 2), np.nan)
        places.append(np.stack([points.get(name, unknown) for name in keypoints.keypoints], axis=1))
        truth.append(expected(angles))
    shape = (frames * len(ids), len(keypoints))
    values = np.stack(places, axis=1).reshape(*shape, 2).astype(np.float32)
    scores = np.where(np.isfinite(values[..., 0]), np.float32(0.9), np.float32(0))
    low, high = np.nanmin(values, axis=1), np.nanmax(values, axis=1)
    clip = Clip(
        source,
        keypoints,
        np.arange(frames),
        times,
        np.repeat(np.arange(frames), len(ids)),
        np.tile(np.array(ids), frames),
        np.concatenate([low, high], axis=1).astype(np.float32),
        np.full(shape[0], 0.9, np.float32),
        values,
        scores,
        np.zeros(shape[0], bool),
        None,
        fps,
        SIZE,
    )
    return clip, truth
