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
from rtmpose.networks import build, config_for, load_network
from rtmpose.networks.classifier import ClassifierConfig
from rtmpose.networks.cspnext import REDUCED_SUFFIX
from rtmpose.networks.heatmap import HeatmapConfig
from rtmpose.networks.reduced import reduce_input
from rtmpose.networks.rtmpose import RTMPoseConfig
from rtmpose.skeletons import get_skeleton, load_skeleton, skeleton_names, skeleton_of
from rtmpose.training.classification import ClassifierTask
from rtmpose.training.detection.setup import start_detector
from rtmpose.training.detection.task import DetectorTask
from rtmpose.training.devices import HALF_PRECISIONS, choose_precision
from rtmpose.training.pose.distill import Teacher, backend_teacher, torch_teacher
from rtmpose.training.pose.task import PoseTask
from rtmpose.training.recipes import Recipe
from rtmpose.training.sources import (
    TeacherBackend,
    imagenet_backbone,
    load_matching,
    parse_teacher_backend,
    teacher_name,
)
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
        teacher_backend: ``inference`` (ONNX Runtime, OpenVINO), ``torch``, or ``auto``.
        skeleton: Name or TOML file of the keypoint set, where it is not the model's.
        name: Id of the result in its card.
        device: ``cpu`` or ``cuda``: where a torch teacher runs.
        evaluate_on: Data to evaluate on, in place of validation images.
    """

    init: str | None = None
    teacher: str | None = None
    teacher_backend: TeacherBackend = "auto"
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
    teacher_backend: str = "auto",
    skeleton: str | None = None,
    name: str | None = None,
    device: str = "cpu",
    evaluate_on: Sequence[str | Path] = (),
) -> Task:
    """The task of a recipe, by its kind; :class:`TrainSetup` says what the arguments mean.

    Args:
        recipe: What and how.
        data: Annotation files or their folders, ``MIXTURE:FOLDER``, mixtures as ``.toml``; for
            classifiers one folder with a folder per class.
        init: See :class:`TrainSetup`, also for the others.
        teacher: Likewise.
        teacher_backend: Likewise.
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

    # One object for the choices, checked before any data is read.
    setup = TrainSetup(
        init,
        teacher,
        parse_teacher_backend(teacher_backend),
        skeleton,
        name,
        device,
        tuple(evaluate_on),
    )

    # Poses may be evaluated on separate sets; the other kinds keep a part of their data for it.
    if recipe.kind in ("pose", "heatmap"):
        return pose_task(recipe, data, setup)
    if setup.evaluate_on:
        raise InputError(
            f"--val is for poses: a {recipe.kind} is evaluated on part of its data"
            " (--set val_fraction=)"
        )
    if recipe.kind == "classifier":
        return classifier_task(recipe, data, setup)
    return detector_task(recipe, data, setup)


def detector_task(
    recipe: Recipe, data: Sequence[str | Path], setup: TrainSetup = TrainSetup()
) -> DetectorTask:
    """The task of a recipe of kind ``detector``; as :func:`make_task`."""
    return start_detector(
        recipe,
        # Detectors take every set in COCO form; keypoints are not needed.
        [read(d) for d in data],
        recipe.init if setup.init is None else setup.init,
        setup.teacher,
        setup.name,
        torch.device(setup.device),
        teacher_precision(recipe, setup.device),
        setup.teacher_backend,
    )


def pose_task(
    recipe: Recipe, data: Sequence[str | Path], setup: TrainSetup = TrainSetup()
) -> PoseTask:
    """The task of a recipe of kind ``pose`` or ``heatmap``; as :func:`make_task`."""
    # The network.
    init = recipe.init if setup.init is None else setup.init
    network, card, skeleton = start_network(recipe, init, setup.skeleton)
    if recipe.reduced_input:
        network, card = reduce_input(network, card)

    # The data, in the network's keypoints.
    datasets, shares = open_data(data, skeleton)
    evaluate_on, _ = open_data(setup.evaluate_on, skeleton)

    # The card of the result: its id and its data; its files do not exist yet.
    trained_on = ", ".join(dict.fromkeys(d.path.parent.name for d in datasets))
    card = replace(card, id=setup.name or card.id, files=(), trained_on=trained_on)

    # The teacher.
    teacher: Teacher | None = None
    teacher_wh: tuple[int, int] | None = None
    distill = recipe.distill
    if distill is not None and (distill.logits or distill.features):
        source = teacher_name(setup.teacher, init, recipe.name)
        teacher, teacher_wh = open_teacher(
            source, card, recipe, setup.teacher_backend, setup.device
        )
    return PoseTask(
        network,
        card,
        skeleton,
        datasets,
        recipe,
        teacher=teacher,
        teacher_wh=teacher_wh,
        shares=shares,
        evaluate_on=evaluate_on,
    )


def classifier_task(
    recipe: Recipe, data: Sequence[str | Path], setup: TrainSetup = TrainSetup()
) -> ClassifierTask:
    """The task of a recipe of kind ``classifier``; as :func:`make_task`."""
    if len(data) != 1:
        raise InputError("a classifier is trained on one folder that holds a folder per class")

    # One folder per class; their number is that of the network's outputs.
    folder = read_image_folder(data[0])
    card = find(recipe.model)
    config = config_for(card)
    assert isinstance(config, ClassifierConfig)
    network = build(replace(config, classes=len(folder.classes)))

    # Start from a backbone, or from another classifier's weights as far as they fit.
    init = recipe.init if setup.init is None else setup.init
    if init != "none":
        load_matching(network, imagenet_backbone(card) if init == "imagenet" else init)

    # The published figures are those of the published weights, not of the new ones.
    name = setup.name or card.id
    card = replace(card, id=name, files=(), published={}, aliases=(), trained_on=folder.path.name)
    return ClassifierTask(network, card, folder, recipe)


def open_data(
    data: Sequence[str | Path], skeleton: Skeleton
) -> tuple[list[KeypointDataset], list[float]]:
    """Data sets in the keypoints of the model, and how often each occurs in an epoch.

    Raises:
        InputError: a set is missing, damaged, or has none of the keypoints.
    """
    # Each entry is a named mixture in a folder, a mixture file, or one set.
    found: list[tuple[KeypointDataset, float]] = []
    for entry in data:
        mixture, _, folder = str(entry).partition(":")
        if mixture in MIXTURES and folder:
            found += open_mixture(mixture, folder)
        elif str(entry).endswith(".toml"):
            found += open_mixture(*load_mixture(entry))
        else:
            found.append((read(entry), 1.0))

    # All sets in the model's order of keypoints.
    return [_in_keypoints_of(skeleton, d) for d, _ in found], [share for _, share in found]


def _in_keypoints_of(skeleton: Skeleton, dataset: KeypointDataset) -> KeypointDataset:
    """The set in the model's keypoints; teacher points (``keypoints26``) are matched later."""
    names = dataset.keypoint_names
    has_teacher_points = "keypoints26_names" in dataset.content["categories"][0]

    # Nothing to convert: same points, unnamed ones, or a teacher's (matched by name later).
    if names == skeleton.keypoints or not names or has_teacher_points:
        return dataset
    return convert(dataset, skeleton if skeleton.name not in skeleton_names() else skeleton.name)


def start_network(
    recipe: Recipe, init: str, skeleton: str | None
) -> tuple[nn.Module, ModelCard, Skeleton]:
    """The network a training starts with, its card and its keypoints.

    Args:
        recipe: Says which network.
        init: A model of the zoo, a file, ``imagenet`` or ``none``.
        skeleton: Name or TOML file of the keypoint set; None for the model's.

    Raises:
        InputError: neither says which network to train.
        ModelError: a model cannot be loaded.
    """
    # Without a model in the recipe the one to start from says what is trained.
    if not recipe.model and init in ("none", "imagenet"):
        raise InputError(
            f"the recipe {recipe.name} does not say which network to train (--set model=NAME)"
        )
    recipe_card = find(recipe.model) if recipe.model else None
    points = _skeleton(skeleton)

    # The whole network of ``init``, where it is of the recipe's form.
    if init not in ("none", "imagenet") and (
        model_kind(init) != "name" or recipe_card is None or find(init).id == recipe_card.id
    ):
        network, card = load_network(init)
        own = skeleton_of(card)
        if own is not None and (points is None or points.keypoints == own.keypoints):
            special = card.architecture.endswith("-pruned") or REDUCED_SUFFIX in card.architecture
            if recipe_card is None or special or _same_shape(card, recipe_card):
                return network, card, own

    # A new network otherwise, with the backbone of ``init``.
    # The recipe's form, or that of ``init`` if the recipe names none.
    card = recipe_card or find(init)
    points = points or skeleton_of(card) or get_skeleton("")
    config = config_for(card)
    if not isinstance(config, RTMPoseConfig | HeatmapConfig):
        raise InputError(f"{card.id} is not a pose network that can be trained from its parts")
    network = build(replace(config, keypoints=len(points)))

    # The card carries a keypoint set that is not built in.
    own = None if points.name in skeleton_names() else points
    card = replace(
        card, skeleton=points.name, own_skeleton=own, files=(), published={}, aliases=(), notes=""
    )
    if init != "none":
        load_matching(network, imagenet_backbone(card) if init == "imagenet" else init)
    return network, card, points


def open_teacher(
    name: str, card: ModelCard, recipe: Recipe, backend: TeacherBackend, device: str
) -> tuple[Teacher, tuple[int, int]]:
    """The teacher of that name, and the size of the crops it takes.

    Args:
        name: A model of the zoo or a file.
        card: Of the student.
        recipe: Distillation and precision.
        backend: What runs the teacher.
        device: Of a teacher that torch runs.

    Raises:
        ModelError: it cannot be loaded, or does not fit the student.
    """
    # A teacher whose maps are compared, or on a GPU, runs in torch; exports run in a backend.
    features = recipe.distill is not None and recipe.distill.features > 0
    exported = not name.endswith((".pth", ".pt", ".safetensors"))
    auto_inference = backend == "auto" and device == "cpu" and not features and exported
    teacher: Teacher
    if backend == "inference" or auto_inference:
        teacher, teacher_card = backend_teacher(name, card)
    else:
        network = torch_teacher(name, card, torch.device(device), teacher_precision(recipe, device))
        teacher = network
        teacher_card = network.card
    log.info("teacher: %s", teacher_card.id)
    return teacher, teacher_card.input_wh


def teacher_precision(recipe: Recipe, device: str) -> torch.dtype | None:
    """What a torch teacher computes in: ``distill.precision`` or the training's; None: float32."""
    # The teacher's precision may differ from the student's.
    precision = recipe.precision
    if recipe.distill is not None and recipe.distill.precision != "auto":
        precision = recipe.distill.precision
    accelerator = "cuda" if device.startswith("cuda") else "cpu"
    return HALF_PRECISIONS.get(choose_precision(precision, accelerator))


def _skeleton(name: str | None) -> Skeleton | None:
    if name is None:
        return None
    return load_skeleton(name) if name.endswith(".toml") else get_skeleton(name)


def _same_shape(a: ModelCard, b: ModelCard) -> bool:
    return (a.architecture, a.input_wh, a.skeleton) == (b.architecture, b.input_wh, b.skeleton)
