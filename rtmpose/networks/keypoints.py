"""A pose network for another keypoint set: everything is kept but the layers with one output per
keypoint.
"""

from __future__ import annotations

import re
from dataclasses import replace

from torch import Tensor, nn

from rtmpose.model_card import ModelCard
from rtmpose.networks.build import build, config_for
from rtmpose.networks.widths import fit_widths
from rtmpose.skeletons import get_skeleton, skeleton_names, skeleton_of
from rtmpose.types import Skeleton

OWN_TASK = "own keypoints"
"""Task of models whose keypoints do not come with the package."""

KEYPOINT_LAYERS = ("head.final_layer", "head.final_layer2")
"""Layers of the pose networks whose outputs are one map per keypoint."""


def card_with_keypoints(card: ModelCard, skeleton: Skeleton) -> ModelCard:
    """The card of a network of the same form for another keypoint set: without files, published
    figures and calibration, which belong to the old one.
    """
    # A set that does not come with the package as it is here is carried along.
    built_in = skeleton.name in skeleton_names() and get_skeleton(skeleton.name) == skeleton
    own = None if built_in else skeleton
    width, height = card.input_wh
    name = re.sub(r"[^\w.-]+", "-", skeleton.name)
    other = own is not None and own.keypoints != _keypoints_of(card)
    return replace(
        card,
        id=f"{card.architecture}_{name}_{height}x{width}" if other else card.id,
        task=OWN_TASK if other else card.task,
        skeleton=skeleton.name,
        own_skeleton=own,
        files=(),
        published={},
        aliases=(),
        notes="",
        calibration=None,
    )


def _keypoints_of(card: ModelCard) -> tuple[str, ...]:
    points = skeleton_of(card)
    return points.keypoints if points is not None else ()


def is_keypoint_layer(key: str) -> bool:
    """Whether a weight has one row per keypoint, by its key."""
    return any(key.startswith(f"{layer}.") for layer in KEYPOINT_LAYERS)


def with_keypoints(
    network: nn.Module, card: ModelCard, skeleton: Skeleton
) -> tuple[nn.Module, ModelCard]:
    """A network with the same weights for another keypoint set, and its card.

    Args:
        network: A pose network; left as it is.
        card: Its card.
        skeleton: The new keypoints. Their layer starts with random weights.

    Raises:
        ModelError: the card's network is not one of this package.
    """
    card = card_with_keypoints(card, skeleton)
    other = build(config_for(card))
    fresh = other.state_dict()

    # The old weights; random rows for the new keypoints, as wide as the old layer (pruned ones are
    # narrower).
    state: dict[str, Tensor] = dict(network.state_dict())
    for key, old in state.items():
        if is_keypoint_layer(key):
            new = fresh[key]
            state[key] = new if old.ndim < 2 else new[:, : old.shape[1]].clone()

    if card.architecture.endswith("-pruned"):
        fit_widths(other, state)
    other.load_state_dict(state)
    return other.train(network.training), card
