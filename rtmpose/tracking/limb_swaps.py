"""Left and right limbs that a network exchanges from one frame to the next."""

from __future__ import annotations

import functools

import numpy as np

from rtmpose.tracking.state import Track
from rtmpose.types import FloatArray, Skeleton

MAX_SWAP_FRAMES = 6
"""Frames after which exchanged limbs are taken for right."""


def repair_swaps(
    track: Track, keypoints: FloatArray, scores: FloatArray, skeleton: Skeleton
) -> tuple[FloatArray, FloatArray]:
    """Exchange left and right limbs back where that is far closer to the last frame."""
    # Where the limbs should be, (K, 2).
    expected = track.keypoints + track.moved
    height = max(float(track.box[3] - track.box[1]), 1.0)
    flip = np.asarray(skeleton.flip_indices)
    out_points = keypoints.copy()
    out_scores = scores.copy()
    swapped = False

    # How far every keypoint moved, as it is and with the sides exchanged.
    straight_far = _length(keypoints - expected)
    crossed_far = _length(keypoints[flip] - expected)
    sides_apart = _length(expected - expected[flip])
    for chain, both in limb_chains(skeleton):
        # Exchange only what is clearly better crossed, far enough apart to be told apart, and seen.
        mirror = flip[both]
        crossed = crossed_far[both].sum() < 0.4 * straight_far[both].sum()
        if crossed and sides_apart[chain].mean() > 0.06 * height and scores[both].min() > 0.2:
            out_points[both] = keypoints[mirror]
            out_scores[both] = scores[mirror]
            swapped = True

    # A network that insists was wrong before, not now.
    track.swapped = track.swapped + 1 if swapped else 0
    if track.swapped > MAX_SWAP_FRAMES:
        track.swapped = 0
        return keypoints, scores
    return out_points, out_scores


@functools.lru_cache(maxsize=16)
def limb_chains(skeleton: Skeleton) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """What gets exchanged: indices of the left forearm and of the left lower leg with foot, each
    with both sides'.
    """
    # Parts are found by name, so that any keypoint set with such names has them.
    parts = (("elbow", "wrist"), ("knee", "ankle", "toe", "heel"))
    flip = np.asarray(skeleton.flip_indices)
    chains = []
    for names in parts:
        # The left side names the pair; its other half is the mirrored point.
        found: list[int] = []
        for i, name in enumerate(skeleton.keypoints):
            is_left = skeleton.sides[i] == "left" and skeleton.flip_indices[i] != i
            if is_left and any(n in name for n in names):
                found.append(i)

        # More than eight points are no limb of a body.
        if found and len(found) <= 8:
            chain = np.array(found)
            chains.append((chain, np.concatenate([chain, flip[chain]])))
    return tuple(chains)


def _length(vectors: FloatArray) -> FloatArray:
    """``(K,)`` of ``(K, 2)``."""
    return np.asarray(np.hypot(vectors[:, 0], vectors[:, 1]))
