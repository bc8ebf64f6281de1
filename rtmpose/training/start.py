"""The network that a pose training starts with."""

from __future__ import annotations

import logging

from torch import nn

from rtmpose.errors import InputError
from rtmpose.model_card import ModelCard
from rtmpose.networks import build, config_for, load_network
from rtmpose.networks.cspnext import HARDSWISH_SUFFIX, REDUCED_SUFFIX
from rtmpose.networks.heatmap import HeatmapConfig
from rtmpose.networks.keypoints import card_with_keypoints, with_keypoints
from rtmpose.networks.rtmpose import RTMPoseConfig
from rtmpose.skeletons import get_skeleton, load_skeleton, skeleton_of
from rtmpose.training.recipes import Recipe
from rtmpose.training.sources import imagenet_backbone, load_matching
from rtmpose.types import Skeleton
from rtmpose.zoo import find, model_kind

log = logging.getLogger(__name__)

NOT_A_MODEL = ("none", "imagenet")
"""Values of ``init`` that name no pose model."""


def start_network(
    recipe: Recipe, init: str, skeleton: Skeleton | str | None
) -> tuple[nn.Module, ModelCard, Skeleton]:
    """The network a training starts with, its card and its keypoints.

    Args:
        recipe: Says which network.
        init: A model of the zoo, a file, ``imagenet`` or ``none``.
        skeleton: The keypoint set, its name or its TOML file; None for the model's.

    Raises:
        InputError: neither says which network to train, or ``init`` is no pose model.
        ModelError: a model cannot be loaded, or its backbone does not fit.
    """
    # Without a model in the recipe the one to start from says what is trained.
    named = init not in NOT_A_MODEL
    if not recipe.model and not named:
        raise InputError(
            f"the recipe {recipe.name} does not say which network to train (--set model=NAME)"
        )
    points = parse_skeleton(skeleton)
    if named and follows_init(recipe):
        return _started_from(init, points)
    return _of_the_recipe(recipe, init, points)


def follows_init(recipe: Recipe) -> bool:
    """Whether the architecture is that of the model that is started from, where one is named."""
    return recipe.model_from_init or not recipe.model


def parse_skeleton(skeleton: Skeleton | str | None) -> Skeleton | None:
    """A keypoint set by its name, from a TOML file, or as it is."""
    if skeleton is None or isinstance(skeleton, Skeleton):
        return skeleton
    return load_skeleton(skeleton) if skeleton.endswith(".toml") else get_skeleton(skeleton)


def _started_from(init: str, points: Skeleton | None) -> tuple[nn.Module, ModelCard, Skeleton]:
    """The network of ``init``, with a new layer for keypoints that are not its own."""
    network, card = load_network(init)
    own = skeleton_of(card)
    if not card.is_pose or own is None:
        what = "a detector" if card.is_detector else f"for {card.task}"
        raise InputError(
            f"{card.id} is {what}, not a pose model: start from one (--init rtmpose-s), or say"
            " which network to train (--set model=rtmpose-s)"
        )
    if points is None or points.keypoints == own.keypoints:
        log.info("loaded from %s: all weights (%s, %s)", init, card.architecture, own.name)
        return network, card, own

    # All but the layer that makes one map per keypoint is kept.
    network, card = with_keypoints(network, card, points)
    log.info(
        "loaded from %s: backbone and head of %s; new: the last layer, for the %d keypoints of %s"
        " in place of the %d of %s",
        init,
        card.architecture,
        len(points),
        points.name,
        len(own),
        own.name,
    )
    return network, card, points


def _of_the_recipe(
    recipe: Recipe, init: str, points: Skeleton | None
) -> tuple[nn.Module, ModelCard, Skeleton]:
    """The recipe's network, whole from ``init`` where it is of the same form, else its backbone."""
    recipe_card = find(recipe.model)
    if init not in NOT_A_MODEL and (model_kind(init) != "name" or find(init).id == recipe_card.id):
        network, card = load_network(init)
        own = skeleton_of(card)
        if own is not None and (points is None or points.keypoints == own.keypoints):
            marks = ("-pruned", REDUCED_SUFFIX, HARDSWISH_SUFFIX)
            special = any(mark in card.architecture for mark in marks)
            if special or _same_shape(card, recipe_card):
                log.info("loaded from %s: all weights (%s, %s)", init, card.architecture, own.name)
                return network, card, own

    # A new network otherwise, with the backbone of ``init``.
    points = points or skeleton_of(recipe_card) or get_skeleton("")
    card = card_with_keypoints(recipe_card, points)
    config = config_for(card)
    if not isinstance(config, RTMPoseConfig | HeatmapConfig):
        raise InputError(f"{card.id} is not a pose network that can be trained from its parts")
    network = build(config)
    if init != "none":
        load_matching(network, imagenet_backbone(card) if init == "imagenet" else init)
    return network, card, points


def _same_shape(a: ModelCard, b: ModelCard) -> bool:
    return (a.architecture, a.input_wh, a.skeleton) == (b.architecture, b.input_wh, b.skeleton)
