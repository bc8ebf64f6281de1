"""From what a user names (recipe, data, model) to a task that can be trained."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from rtmpose.datasets import (
    MIXTURES,
    KeypointDataset,
    convert,
    load_mixture,
    open_mixture,
    read,
    read_image_folder,
)
from rtmpose.errors import InputError
from rtmpose.model_card import ModelCard
from rtmpose.networks import build, config_for, load_network, read_checkpoint
from rtmpose.networks.checkpoint import load_state
from rtmpose.networks.classifier import ClassifierConfig
from rtmpose.networks.cspnext import REDUCED_SUFFIX
from rtmpose.networks.heatmap import HeatmapConfig
from rtmpose.networks.reduced import reduce_input
from rtmpose.networks.rtmpose import RTMPoseConfig
from rtmpose.skeletons import get_skeleton, load_skeleton, skeleton_names, skeleton_of
from rtmpose.training.classification import ClassifierTask
from rtmpose.training.devices import choose_precision
from rtmpose.training.pose.distill import Teacher, engine_teacher, torch_teacher
from rtmpose.training.pose.task import PoseTask
from rtmpose.training.recipes import Recipe
from rtmpose.training.task import Task
from rtmpose.types import Skeleton
from rtmpose.zoo import find, model_kind

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainSetup:
    """What a training starts from, besides recipe and data.

    Attributes:
        init: A model of the zoo or a file to start from, ``imagenet`` (the classifier of the same
            size), or ``none``; None takes the recipe's.
        teacher: Model that is learned from; None takes the one started from, where the recipe
            distills.
        teacher_engine: ``engine`` (ONNX Runtime, OpenVINO), ``torch``, or ``auto``.
        skeleton: Name or TOML file of the keypoint set, where it is not the model's.
        name: Id of the result in its card.
        device: ``cpu`` or ``cuda``: where a torch teacher runs.
        evaluate_on: Data to evaluate on, in place of held-out photos.
    """

    init: str | None = None
    teacher: str | None = None
    teacher_engine: str = "auto"
    skeleton: str | None = None
    name: str | None = None
    device: str = "cpu"
    evaluate_on: tuple[str | Path, ...] = ()


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
    evaluate_on: Sequence[str | Path] = (),
) -> Task:
    """The task of a recipe, by its kind; what the arguments mean is told by :class:`TrainSetup`.

    Args:
        recipe: What and how.
        data: Annotation files or their folders, ``MIXTURE:FOLDER``, mixtures as ``.toml``; for
            classifiers one folder with a folder per class.
        init: See :class:`TrainSetup`, also for the others.
        teacher: Likewise.
        teacher_engine: Likewise.
        skeleton: Likewise.
        name: Likewise.
        device: Likewise.
        evaluate_on: Likewise.

    Raises:
        InputError: something does not fit.
        ModelError: a model cannot be loaded.
    """
    if not data:
        raise InputError("a training needs data: --data FOLDER, once or more often")
    choices = TrainSetup(init, teacher, teacher_engine, skeleton, name, device, tuple(evaluate_on))
    if recipe.kind in ("pose", "heatmap"):
        return pose_task(recipe, data, choices)
    if recipe.kind == "classifier":
        return classifier_task(recipe, data, choices)
    return detector_task(recipe, data, choices)


def detector_task(
    recipe: Recipe, data: Sequence[str | Path], choices: TrainSetup = TrainSetup()
) -> Task:
    """The task of a recipe of kind ``detector``; as :func:`make_task`."""
    from rtmpose.training.detection.setup import start_detector

    init = recipe.init if choices.init is None else choices.init
    half = teacher_precision(recipe, choices.device)
    sets = [read(d) for d in data]
    place = torch.device(choices.device)
    return start_detector(
        recipe, sets, init, choices.teacher, choices.name, place, half, choices.teacher_engine
    )


def pose_task(
    recipe: Recipe, data: Sequence[str | Path], choices: TrainSetup = TrainSetup()
) -> PoseTask:
    """The task of a recipe of kind ``pose`` or ``heatmap``; as :func:`make_task`."""
    init = recipe.init if choices.init is None else choices.init
    network, card, points = start_network(recipe, init, choices.skeleton)
    if recipe.reduced_input:
        network, card = reduce_input(network, card)
    sets, shares = open_data(data, points)
    judges, _ = open_data(choices.evaluate_on, points)
    trained_on = ", ".join(dict.fromkeys(d.path.parent.name for d in sets))
    card = replace(card, id=choices.name or card.id, files=(), trained_on=trained_on)
    guide: Teacher | None = None
    guide_wh: tuple[int, int] | None = None
    distill = recipe.distill
    if distill is not None and (distill.logits or distill.features):
        source = choices.teacher or (init if init not in ("none", "imagenet") else "")
        if not source:
            raise InputError(
                f"the recipe {recipe.name} learns from a teacher: name one (--teacher MODEL)"
            )
        guide, guide_wh = open_teacher(source, card, recipe, choices.teacher_engine, choices.device)
    return PoseTask(
        network,
        card,
        points,
        sets,
        recipe,
        teacher=guide,
        teacher_wh=guide_wh,
        shares=shares,
        evaluate_on=judges,
    )


def classifier_task(
    recipe: Recipe, data: Sequence[str | Path], choices: TrainSetup = TrainSetup()
) -> ClassifierTask:
    """The task of a recipe of kind ``classifier``; as :func:`make_task`."""
    if len(data) != 1:
        raise InputError("a classifier is trained on one folder that holds a folder per class")
    folder = read_image_folder(data[0])
    card = find(recipe.model)
    config = config_for(card)
    assert isinstance(config, ClassifierConfig)
    network = build(replace(config, classes=len(folder.classes)))
    init = recipe.init if choices.init is None else choices.init
    if init != "none":
        _backbone_from(network, card, init)
    name = choices.name or card.id
    card = replace(card, id=name, files=(), published={}, aliases=(), trained_on=folder.path.name)
    return ClassifierTask(network, card, folder, recipe)


def open_data(
    data: Sequence[str | Path], points: Skeleton
) -> tuple[list[KeypointDataset], list[float]]:
    """Data sets in the keypoints of the model, and how often each occurs in an epoch.

    Raises:
        InputError: a set is missing, damaged, or has none of the keypoints.
    """
    found: list[tuple[KeypointDataset, float]] = []
    for entry in data:
        mixture, _, folder = str(entry).partition(":")
        if mixture in MIXTURES and folder:
            found += open_mixture(mixture, folder)
        elif str(entry).endswith(".toml"):
            found += open_mixture(*load_mixture(entry))
        else:
            found.append((read(entry), 1.0))
    return [_fitting(d, points) for d, _ in found], [share for _, share in found]


def _fitting(dataset: KeypointDataset, points: Skeleton) -> KeypointDataset:
    """The set in the model's keypoints; teacher points (``keypoints26``) are matched by name later."""
    names = dataset.keypoint_names
    if (
        names == points.keypoints
        or not names
        or "keypoints26_names" in dataset.content["categories"][0]
    ):
        return dataset
    return convert(dataset, points if points.name not in skeleton_names() else points.name)


def start_network(
    recipe: Recipe, init: str, skeleton: str | None
) -> tuple[nn.Module, ModelCard, Skeleton]:
    """The network a training starts with, its card and its keypoints."""
    if not recipe.model and init in ("none", "imagenet"):
        raise InputError(
            f"the recipe {recipe.name} does not say which network to train (--set model=NAME)"
        )
    wanted = find(recipe.model) if recipe.model else None
    points = _skeleton(skeleton)
    # The whole network where it is of the wanted form, its backbone otherwise.
    if init not in ("none", "imagenet") and (
        _is_file(init) or wanted is None or find(init).id == wanted.id
    ):
        network, card = load_network(init)
        own = skeleton_of(card)
        if own is not None and (points is None or points.keypoints == own.keypoints):
            special = card.architecture.endswith("-pruned") or REDUCED_SUFFIX in card.architecture
            if wanted is None or special or _same_shape(card, wanted):
                return network, card, own
    card = wanted or find(init)
    points = points or skeleton_of(card) or get_skeleton("")
    config = config_for(card)
    assert isinstance(config, RTMPoseConfig | HeatmapConfig)
    network = build(replace(config, keypoints=len(points)))
    own = None if points.name in skeleton_names() else points
    card = replace(
        card, skeleton=points.name, own_skeleton=own, files=(), published={}, aliases=(), notes=""
    )
    if init != "none":
        _backbone_from(network, card, init)
    return network, card, points


def open_teacher(
    name: str, card: ModelCard, recipe: Recipe, engine: str, device: str
) -> tuple[Teacher, tuple[int, int]]:
    """The teacher of that name, run by the engine asked for, and the size of the crops it takes."""
    features = recipe.distill is not None and recipe.distill.features > 0
    exported = not name.endswith((".pth", ".safetensors"))
    if engine == "engine" or (engine == "auto" and device == "cpu" and not features and exported):
        guide, known = engine_teacher(name, card)
    else:
        network = torch_teacher(name, card, torch.device(device), teacher_precision(recipe, device))
        guide, known = network, network.card
    log.info("teacher: %s", known.id)
    return guide, known.input_wh


def teacher_precision(recipe: Recipe, device: str) -> torch.dtype | None:
    """What a torch teacher computes in: ``distill.precision``, or the training's; None for float32."""
    wanted = (
        recipe.precision
        if recipe.distill is None or recipe.distill.precision == "auto"
        else recipe.distill.precision
    )
    half = choose_precision(wanted, "cuda" if device.startswith("cuda") else "cpu")
    return {"bf16": torch.bfloat16, "fp16": torch.float16}.get(half)


def _backbone_from(network: nn.Module, card: ModelCard, init: str) -> None:
    """Fill what fits of a network from another model: the backbone, usually."""
    if init == "imagenet":
        size = card.architecture.partition("-")[2].split("-")[0]
        init = f"cspnext-{'tiny' if size == 't' else size}_imagenet_224x224"
    if _is_file(init) and not init.endswith(".onnx"):
        state = read_checkpoint(Path(init))
    else:
        state = load_network(init)[0].state_dict()
    difference = load_state(network, state, init, strict=False)
    log.info(
        "started from %s; %d tensors are new",
        init,
        len(difference.missing) + len(difference.shapes),
    )


def _skeleton(name: str | None) -> Skeleton | None:
    if name is None:
        return None
    return load_skeleton(name) if name.endswith(".toml") else get_skeleton(name)


def _same_shape(a: ModelCard, b: ModelCard) -> bool:
    return (a.architecture, a.input_wh, a.skeleton) == (b.architecture, b.input_wh, b.skeleton)


def _is_file(name: str) -> bool:
    return model_kind(name) != "name"
