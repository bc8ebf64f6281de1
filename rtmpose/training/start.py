"""From what a user names (recipe, data, model) to a task that can be trained."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from torch import nn

from rtmpose.datasets import KeypointDataset
from rtmpose.errors import InputError
from rtmpose.networks import build, config_for, load_network, read_checkpoint
from rtmpose.networks.checkpoint import load_state
from rtmpose.networks.heatmap import HeatmapConfig
from rtmpose.networks.rtmpose import RTMPoseConfig
from rtmpose.skeletons import get_skeleton, load_skeleton
from rtmpose.training.distill import Teacher, engine_teacher, torch_teacher
from rtmpose.training.loop import Task, choose_precision
from rtmpose.training.pose import PoseTask
from rtmpose.training.recipes import Recipe
from rtmpose.types import ModelCard, Skeleton
from rtmpose.zoo import find

log = logging.getLogger(__name__)


def pose_task(
    recipe: Recipe,
    data: Sequence[str | Path],
    *,
    init: str | None = None,
    teacher: str | None = None,
    teacher_engine: str = "auto",
    skeleton: str | None = None,
    name: str | None = None,
    device: str = "cpu",
) -> PoseTask:
    """The task of a pose recipe.

    Args:
        recipe: Of kind ``pose`` or ``heatmap``.
        data: Annotation files or their folders.
        init: A model of the zoo or a file to start from, or ``none``; the recipe's by default.
        teacher: Model that is learnt from; the model started from, where the recipe distils.
        teacher_engine: ``engine`` (ONNX Runtime, OpenVINO), ``torch``, or ``auto``.
        skeleton: Name or TOML file of the keypoint set, where it is not the model's.
        name: Id of the result in its card.
        device: Where a torch teacher runs.

    Raises:
        InputError: something does not fit.
        ModelError: a model cannot be loaded.
    """
    if not data:
        raise InputError("a training needs data: --data FOLDER, once or more often")
    datasets = [KeypointDataset.load(d) for d in data]
    init = recipe.init if init is None else init
    network, card, points = start_network(recipe, init, skeleton)
    card = replace(card, id=name or card.id, files=(), trained_on=", ".join(d.path.parent.name for d in datasets))
    guide: Teacher | None = None
    distil = recipe.distil
    if distil is not None and (distil.logits or distil.features):
        source = teacher or (init if init not in ("none", "imagenet") else "")
        if not source:
            raise InputError(f"the recipe {recipe.name} learns from a teacher: name one (--teacher MODEL)")
        guide = open_teacher(source, card, recipe, teacher_engine, device)
    return PoseTask(network, card, points, datasets, recipe, teacher=guide)


def start_network(recipe: Recipe, init: str, skeleton: str | None) -> tuple[nn.Module, ModelCard, Skeleton]:
    """The network a training starts with, its card and its keypoints."""
    if init != "none" and (_is_file(init) or not recipe.model or find(init).id == find(recipe.model).id):
        network, card = load_network(init)
        same = skeleton is None or skeleton == card.skeleton
        if same and (
            not recipe.model or _same_shape(card, find(recipe.model)) or card.architecture.endswith("-pruned")
        ):
            return network, card, get_skeleton(card.skeleton or "")
    if not recipe.model:
        raise InputError(f"the recipe {recipe.name} does not say which network to train (--set model=NAME)")
    card = find(recipe.model)
    points = get_skeleton(card.skeleton or "")
    if skeleton is not None:
        points = load_skeleton(skeleton) if skeleton.endswith(".toml") else get_skeleton(skeleton)
    config = config_for(card)
    if len(points) != len(get_skeleton(card.skeleton or "")):
        assert isinstance(config, RTMPoseConfig | HeatmapConfig)
        config = replace(config, keypoints=len(points))
    card = replace(card, skeleton=points.name, files=(), published={}, aliases=())
    network = build(config)
    if init != "none":
        _backbone_from(network, init)
    return network, card, points


def open_teacher(name: str, card: ModelCard, recipe: Recipe, engine: str, device: str) -> Teacher:
    """The teacher of that name, run by the engine asked for."""
    import torch

    features = recipe.distil is not None and recipe.distil.features > 0
    if engine == "engine" or (engine == "auto" and device == "cpu" and not features and not _torch_file(name)):
        guide, known = engine_teacher(name, card)
    else:
        half = choose_precision(recipe.precision, "cuda" if device.startswith("cuda") else "cpu")
        kind = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(half)
        network = torch_teacher(name, card, torch.device(device), kind)
        guide, known = network, network.card
    log.info("teacher: %s", known.id)
    return guide


def _backbone_from(network: nn.Module, init: str) -> None:
    """Fill what fits of a network from another model: the backbone, usually."""
    if _is_file(init) and not init.endswith(".onnx"):
        state = read_checkpoint(Path(init))
    else:
        state = load_network(init)[0].state_dict()
    difference = load_state(network, state, init, strict=False)
    log.info("started from %s; %d tensors are new", init, len(difference.missing) + len(difference.shapes))


def _same_shape(a: ModelCard, b: ModelCard) -> bool:
    return (a.architecture, a.input_wh, a.skeleton) == (b.architecture, b.input_wh, b.skeleton)


def _torch_file(name: str) -> bool:
    return name.endswith((".pth", ".safetensors"))


def _is_file(name: str) -> bool:
    return name.lower().endswith((".onnx", ".pth", ".pt", ".safetensors")) or os.sep in name


def make_task(
    recipe: Recipe,
    data: Sequence[str | Path],
    *,
    init: str | None = None,
    teacher: str | None = None,
    teacher_engine: str = "auto",
    skeleton: str | None = None,
    name: str | None = None,
    device: str = "cpu",
) -> Task:
    """The task of a recipe, by its kind; arguments as in :func:`pose_task`.

    Raises:
        InputError: something does not fit.
        ModelError: a model cannot be loaded.
    """
    if recipe.kind in ("pose", "heatmap"):
        return pose_task(
            recipe,
            data,
            init=init,
            teacher=teacher,
            teacher_engine=teacher_engine,
            skeleton=skeleton,
            name=name,
            device=device,
        )
    raise InputError(f"recipes of kind {recipe.kind} cannot be trained yet")
