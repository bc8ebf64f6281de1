"""From what a user names to a detector's training."""

from __future__ import annotations

import copy
import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import nn

from rtmpose.datasets import KeypointDataset
from rtmpose.datasets.keypoint_guess import CLASS_WORDS, PERSON, spelled
from rtmpose.errors import InputError, ModelError
from rtmpose.model_card import ModelCard
from rtmpose.networks import build, config_for, load_network
from rtmpose.networks.checkpoint import read_card
from rtmpose.networks.cspnext import HARDSWISH_SUFFIX
from rtmpose.networks.hardswish import with_hardswish
from rtmpose.networks.rtmdet import RTMDet, RTMDetConfig
from rtmpose.training.data.detection_samples import class_names
from rtmpose.training.detection.distill import DetectorTeacher, open_teacher_backend
from rtmpose.training.detection.task import DetectorTask
from rtmpose.training.devices import to_device
from rtmpose.training.recipes import DetectorSettings, Recipe
from rtmpose.training.sources import (
    TeacherBackend,
    imagenet_backbone,
    load_matching,
    teacher_name,
)
from rtmpose.zoo import find, model_kind

log = logging.getLogger(__name__)

NOT_PUBLISHED = re.compile(r"rtmdet-(tiny|s|l|x)_person_640x640")
"""Person detectors without published weights; everything but the size is that of the m."""

TEACHER_WITHOUT_CARD = "rtmdet-nano_person_320x320"
"""What an export without a card is taken for: the only one that is passed around without."""


def start_detector(
    recipe: Recipe,
    datasets: Sequence[KeypointDataset],
    init: str,
    teacher: str | None,
    name: str | None,
    device: torch.device,
    precision: torch.dtype | None,
    teacher_backend: TeacherBackend = "auto",
) -> DetectorTask:
    """The task of a detector recipe.

    Args:
        recipe: Of kind ``detector``.
        datasets: Annotated sets.
        init: A model of the zoo or a file to start from, ``imagenet`` (backbone only), or ``none``.
        teacher: An RTMDet that is learned from; the one started from by default, where the recipe
            distills.
        name: Id of the result in its card.
        device: Where the teacher runs.
        precision: The teacher's where torch runs it; None for float32.
        teacher_backend: What runs the teacher: ``inference``, ``torch`` or ``auto`` (inference on
            CPUs).

    Raises:
        InputError: something does not fit.
        ModelError: a model cannot be loaded.
    """
    settings = recipe.detector or DetectorSettings()
    if not recipe.model:
        raise InputError(
            f"the recipe {recipe.name} does not say which network to train (--set model=NAME)"
        )
    card = detector_card(recipe.model)
    classes = class_names(datasets, settings.category)
    # Person detectors say nothing of classes: people are what all of them find first.
    card = replace(card, classes=() if classes == ("person",) else classes)
    card = _with_mark_of(card, init)
    network = _start_network(card, init)
    before: nn.Module | None = None
    if recipe.hardswish:
        before = copy.deepcopy(network)
        network, card = with_hardswish(network, card)
    recipe = _without_people(recipe, classes, init, teacher)
    settings = recipe.detector or settings

    # The teacher, where the recipe distills; without a name it is the network started from.
    loaded: DetectorTeacher | None = None
    if settings.distills:
        source = teacher_name(teacher, init, recipe.name)
        loaded = _load_teacher(source, device, precision, settings, teacher_backend)

    # The card describes the new network: the figures published for the old one do not hold.
    card = replace(
        card,
        id=name or card.id,
        files=(),
        aliases=(),
        published={},
        notes="",
        trained_on=", ".join(dict.fromkeys(d.path.parent.name for d in datasets)),
        input_fit=settings.input_fit,
    )
    task = DetectorTask(network, card, datasets, recipe, teacher=loaded)

    # Layers that levels share are left to the training, and so is a network without weights.
    config = config_for(card)
    shares_layers = isinstance(config, RTMDetConfig) and config.share_conv
    if before is not None and init != "none" and not shares_layers:
        task.fit_to(before)
    return task


def _without_people(
    recipe: Recipe, classes: Sequence[str], init: str, teacher: str | None
) -> Recipe:
    """The recipe without what a detector of people would teach, where other things are learned."""
    settings = recipe.detector or DetectorSettings()
    words = {word for name in classes for word in spelled(name).split("_")}
    is_of_people = len(classes) == 1 and bool(words & CLASS_WORDS[PERSON])
    if is_of_people or teacher is not None:
        return recipe

    # A detector of the same classes may go on teaching.
    card = _card_of(init)
    if card is not None and card.classes == tuple(classes):
        return recipe
    found_before = str(settings.pseudo_label_model or "").endswith(".json")
    own = replace(
        settings,
        distill_scores=0.0,
        distill_boxes=0.0,
        distill_maps=0.0,
        pseudo_label_model=settings.pseudo_label_model if found_before else None,
    )
    if own != settings:
        log.info("no teacher: labels only, as %s is not what it finds", ", ".join(classes))
    return replace(recipe, detector=own)


def detector_card(model: str) -> ModelCard:
    """The card of a detector, also of the sizes of the person detector that the zoo has no weights
    of.

    Raises:
        InputError: it is no detector of this family.
        ModelError: there is no such model.
    """
    # The sizes without weights: the medium's card, with another network and no figures.
    match = NOT_PUBLISHED.fullmatch(model)
    if match:
        medium = find("rtmdet-m_person_640x640")
        return replace(
            medium,
            id=model,
            architecture=f"rtmdet-{match[1]}",
            files=(),
            aliases=(),
            published={},
            params_m=None,
            gflops=None,
        )
    card = find(model)
    if card.codec.kind != "rtmdet":
        raise InputError(f"{model} is not an RTMDet detector: it cannot be trained by this recipe")
    return card


def _with_mark_of(card: ModelCard, init: str) -> ModelCard:
    """The card for the network of ``init``, where that is the same one with hard swish."""
    init_card = _card_of(init)
    if init_card is None:
        return card
    if init_card.architecture != f"{card.architecture}{HARDSWISH_SUFFIX}":
        return card
    return replace(card, architecture=init_card.architecture)


def _card_of(init: str) -> ModelCard | None:
    """The card of the model started from; None where there is none, or a file does not say."""
    if init in ("none", "imagenet"):
        return None
    return read_card(Path(init)) if model_kind(init) != "name" else find(init)


def _start_network(card: ModelCard, init: str) -> nn.Module:
    """The network of a card, with what fits of the weights of ``init``."""
    # The whole network, where it is of the same architecture.
    if init not in ("none", "imagenet"):
        source = Path(init) if model_kind(init) != "name" else init
        init_card = _card_of(init)
        # An export without a card is taken for one of the recipe's model; it does not load if it
        # is not.
        same_classes = init_card is not None and init_card.classes == card.classes
        same_form = init_card is not None and init_card.architecture == card.architecture
        if (init_card is None and len(card.classes) <= 1) or (same_classes and same_form):
            return load_network(source, card=init_card or card)[0]

    # A new network otherwise, with what fits: the backbone, or all but the layer of the classes.
    network = build(config_for(card))
    if init != "none":
        load_matching(network, imagenet_backbone(card) if init == "imagenet" else init)
    return network


def _load_teacher(
    name: str,
    device: torch.device,
    precision: torch.dtype | None,
    settings: DetectorSettings,
    backend: TeacherBackend,
) -> DetectorTeacher:
    """The teacher of that name, on a device or run by an inference backend."""
    # A name of the zoo or a file; an export may come without a card.
    source = Path(name) if model_kind(name) != "name" else name
    card = read_card(source) if isinstance(source, Path) else find(source)
    network, card = load_network(source, card=card or find(TEACHER_WITHOUT_CARD))
    if not isinstance(network, RTMDet):
        raise ModelError(f"the teacher {card.id} is not an RTMDet: its cells are not the student's")
    log.info("teacher: %s", card.id)

    # On CPUs an inference backend is faster, but it needs an ONNX file to be written first.
    exportable = device.type == "cpu" and find_spec("onnx") is not None
    automatic = exportable and not settings.distill_maps  # only torch shows the maps inside
    use_inference = backend == "inference" or (backend == "auto" and automatic)
    return DetectorTeacher(
        to_device(network, device),
        card,
        precision,
        square=card.input_fit == "letterbox",
        flip_average=settings.flip_average,
        backend=open_teacher_backend(network, card) if use_inference else None,
    )
