"""From what a user names (recipe, data, model) to a task that can be trained."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from rtmpose.datasets import KeypointDataset, read_image_folder
from rtmpose.errors import InputError
from rtmpose.model_card import ModelCard
from rtmpose.networks import build, config_for
from rtmpose.networks.classifier import ClassifierConfig
from rtmpose.networks.hardswish import with_hardswish
from rtmpose.networks.reduced import reduce_input
from rtmpose.training.classification import ClassifierTask
from rtmpose.training.data.packed import is_packed
from rtmpose.training.detection.setup import start_detector
from rtmpose.training.detection.task import DetectorTask
from rtmpose.training.devices import HALF_PRECISIONS, choose_precision
from rtmpose.training.open_data import (
    DataSource,
    OpenedSet,
    ReadOptions,
    open_data,
    open_sets,
)
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
from rtmpose.training.start import start_network
from rtmpose.training.task import Task
from rtmpose.types import Skeleton
from rtmpose.zoo import find

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
        skeleton: The keypoint set, its name or its TOML file, where it is not the model's.
        name: Id of the result in its card.
        device: ``cpu`` or ``cuda``: where a torch teacher runs.
        evaluate_on: Data to evaluate on, in place of validation images: the validation split of
            sets with splits.
        category: Of files of several: take the instances of this category only.
    """

    init: str | None = None
    teacher: str | None = None
    teacher_backend: TeacherBackend = "auto"
    skeleton: str | Skeleton | None = None
    name: str | None = None
    device: str = "cpu"
    evaluate_on: tuple[DataSource, ...] = ()
    category: str = ""


def make_task(
    recipe: Recipe,
    data: Sequence[DataSource],
    *,
    init: str | None = None,
    teacher: str | None = None,
    teacher_backend: str = "auto",
    skeleton: str | Skeleton | None = None,
    name: str | None = None,
    device: str = "cpu",
    evaluate_on: Sequence[DataSource] = (),
    category: str = "",
) -> Task:
    """The task of a recipe, by its kind; :class:`TrainSetup` says what the arguments mean.

    Args:
        recipe: What and how.
        data: Annotation files or their folders, ``MIXTURE:FOLDER``, mixtures as ``.toml``, or sets
            read before; for classifiers one folder with a folder per class.
        init: See :class:`TrainSetup`, also for the others.
        teacher: Likewise.
        teacher_backend: Likewise.
        skeleton: Likewise.
        name: Likewise.
        device: Likewise.
        evaluate_on: Likewise.
        category: Likewise.

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
        category,
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
    recipe: Recipe, data: Sequence[DataSource], setup: TrainSetup = TrainSetup()
) -> DetectorTask:
    """The task of a recipe of kind ``detector``; as :func:`make_task`."""
    return start_detector(
        recipe,
        # Detectors take every set in COCO form; keypoints are not needed.
        [s.dataset for s in open_sets(data, options=ReadOptions(category=setup.category))],
        recipe.init if setup.init is None else setup.init,
        setup.teacher,
        setup.name,
        torch.device(setup.device),
        teacher_precision(recipe, setup.device),
        setup.teacher_backend,
    )


def pose_task(
    recipe: Recipe, data: Sequence[DataSource], setup: TrainSetup = TrainSetup()
) -> PoseTask:
    """The task of a recipe of kind ``pose`` or ``heatmap``; as :func:`make_task`."""
    # The network.
    init = recipe.init if setup.init is None else setup.init
    network, card, skeleton = start_network(recipe, init, setup.skeleton)
    if recipe.reduced_input:
        network, card = reduce_input(network, card)
    if recipe.hardswish:
        network, card = with_hardswish(network, card)

    # The data, in the network's keypoints.
    reading = ReadOptions(category=setup.category)
    datasets, shares = open_data(data, skeleton, reading)
    evaluate_on, _ = open_data(setup.evaluate_on, skeleton, replace(reading, to_score=True))
    _warn_of_shared_images(datasets, evaluate_on)

    # The card of the result: its id and its data; its files do not exist yet.
    names = (d.path.stem if is_packed(d) else d.path.parent.name for d in datasets)
    trained_on = ", ".join(dict.fromkeys(names))
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
    task = PoseTask(
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
    log.info("%d people to train on, %d to evaluate on", len(task.training), len(task.validation))
    return task


def _warn_of_shared_images(
    datasets: Sequence[KeypointDataset], evaluate_on: Sequence[KeypointDataset]
) -> None:
    """Say how many images are trained and evaluated on: scores on them say little."""
    if not evaluate_on:
        return
    trained_on = {path.resolve() for dataset in datasets for path in dataset.images.values()}
    asked = [path.resolve() for dataset in evaluate_on for path in dataset.images.values()]
    shared = [path for path in asked if path in trained_on]
    if shared:
        log.warning(
            "%d of %d images of --val are in --data too, such as %s: the scores will be better than"
            " on new images",
            len(shared),
            len(asked),
            shared[0],
        )


def classifier_task(
    recipe: Recipe, data: Sequence[DataSource], setup: TrainSetup = TrainSetup()
) -> ClassifierTask:
    """The task of a recipe of kind ``classifier``; as :func:`make_task`."""
    if len(data) != 1 or isinstance(data[0], OpenedSet):
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
