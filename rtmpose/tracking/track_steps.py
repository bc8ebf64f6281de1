"""How a track begins, moves on, takes the pose of a frame, and ends."""

from __future__ import annotations

import numpy as np

from rtmpose.tracking.kalman import BoxFilter
from rtmpose.tracking.limb_swaps import repair_swaps
from rtmpose.tracking.params import TrackerParams
from rtmpose.tracking.state import Track, TrackState, is_remembered
from rtmpose.types import FloatArray, Poses

CONFIDENT_NEW_TRACK = 0.45
"""Mean keypoint score from which a new track needs no confirmation."""


def predict_tracks(state: TrackState, step: float) -> None:
    """Move every track's box on by ``step`` seconds."""
    for track in state.tracks:
        # The pace of somebody out of sight is believed less and less.
        track.missing_s += step
        if track.missing:
            track.filter.coast(step)

        # The keypoints move with the center of the box.
        before = track.filter.box
        track.predicted = track.filter.predict(step)
        moved = ((track.predicted[:2] + track.predicted[2:]) - (before[:2] + before[2:])) / 2
        track.moved = np.asarray(moved, np.float32)


def start_track(
    state: TrackState,
    poses: Poses,
    row: int,
    box: FloatArray,
    params: TrackerParams,
    *,
    duplicate: bool,
) -> Track:
    """A new track; a negative id says that it is not confirmed."""
    # At the start everybody is new; later a new track has to prove itself.
    confident = float(poses.scores[row].mean()) >= CONFIDENT_NEW_TRACK and not duplicate
    confident |= params.confirm <= 1 or state.frames <= 1
    number = state.new_id()
    track = Track(
        number if confident else -number,
        BoxFilter(box, params.std_weight_position, params.std_weight_velocity),
        poses.keypoints[row],
        poses.scores[row],
        box,
        float(poses.box_scores[row]),
        None,
    )
    state.tracks.append(track)
    return track


def update_track(
    track: Track, poses: Poses, row: int, box: FloatArray, params: TrackerParams, *, follow: bool
) -> None:
    """A track gets its pose of this frame."""
    keypoints = poses.keypoints[row]
    scores = poses.scores[row]

    # Only for a settled track: the repair compares with its last pose.
    if params.repair_swaps and not track.missing and track.hits >= 3:
        keypoints, scores = repair_swaps(track, keypoints, scores, poses.skeleton)
    track.keypoints = keypoints
    track.scores = scores
    track.box = box
    track.box_score = float(poses.box_scores[row])
    track.filter.update(box)

    # A box that is only followed is no sighting of a new track: there has to be a pose in it.
    track.hits += follow or track.id > 0
    track.missing = 0
    track.missing_s = 0.0
    track.follow = follow
    if track.id < 0 and track.hits >= params.confirm:
        track.id = -track.id


def forget_tracks(
    state: TrackState, current: list[Track], params: TrackerParams, shape: tuple[int, ...]
) -> None:
    """Count the frames that the others are missing, and drop those who will not come back."""
    present = {id(track) for track in current}
    for track in state.tracks:
        if id(track) not in present:
            track.missing += 1
            track.smoother = None
    state.tracks = [t for t in state.tracks if is_remembered(t, params, shape)]
