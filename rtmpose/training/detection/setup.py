"""From what a user names to a detector's training."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import nn

from rtmpose.datasets import KeypointDataset
from rtmpose.errors import InputError
from rtmpose.model_card import ModelCard
from rtmpose.networks import build, config_for, load_network, read_checkpoint
from rtmpose.networks.checkpoint import load_state, read_card
from rtmpose.networks.rtmdet import RTMDet
from rtmpose.training.detection.distill import DetectorTeacher, engine_for
from rtmpose.training.detection.task import DetectorTask
from rtmpose.training.recipes import Recipe
from rtmpose.training.recipes.detector import DetectorSettings
from rtmpose.zoo import find, model_kind

log = logging.getLogger(__name__)

NOT_PUBLISHED = re.compile(r"rtmdet-(tiny|s|l|x)_person_640x640")
"""Person detectors that nobody has published weights of; everything but the size is that of the m."""


def start_detector(
    recipe: Recipe,
    datasets: Sequence[KeypointDataset],
    init: str,
    teacher: str | None,
    name: str | None,
    device: torch.device,
    precision: torch.dtype | None,
    engine: str = "auto",
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
        engine: ``engine``, ``torch`` or ``auto`` (an inference engine on CPUs): what runs the
            teacher.

    Raises:
        InputError: something does not fit.
        ModelError: a model cannot be loaded.
    """
    settings: DetectorSettings = recipe.detector or DetectorSettings()
    card = detector_card(recipe.model)
    network = _start_network(card, init)
    guide: DetectorTeacher | None = None
    if settings.soft_scores or settings.soft_boxes:
        source = teacher or (init if init not in ("none", "imagenet") else "")
        if not source:
            raise InputError(
                f"the recipe {recipe.name} learns from a teacher: name one (--teacher MODEL)"
            )
        guide = _teacher(source, device, precision, settings, engine)
    card = replace(
        card,
        id=name or card.id,
        files=(),
        aliases=(),
        published={},
        notes="",
        trained_on=", ".join(dict.fromkeys(d.path.parent.name for d in datasets)),
        input_fit="rectangular" if settings.fit == "rectangular" else "letterbox",
    )
    return DetectorTask(network, card, datasets, recipe, teacher=guide)


def detector_card(model: str) -> ModelCard:
    """The card of a detector, also of the sizes of the person detector that the zoo has no weights
    of.

    Raises:
        InputError: it is no detector of this family.
        ModelError: there is no such model.
    """
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


def _start_network(card: ModelCard, init: str) -> nn.Module:
    if init == "none":
        return build(config_for(card))
    if init == "imagenet":
        size = card.architecture.partition("-")[2].split("-")[0]
        network = build(config_for(card))
        state = load_network(f"cspnext-{size}_imagenet_224x224")[0].state_dict()
    else:
        path = Path(init)
        known = read_card(path) if _is_file(init) else find(init)
        if known is None or known.architecture == card.architecture:
            # An export without a card is taken for one of the recipe's model; it does not load if
            # it is not.
            return load_network(path if _is_file(init) else init, card=known or card)[0]
        network = build(config_for(card))
        state = load_network(init)[0].state_dict() if not _is_file(init) else read_checkpoint(path)
    difference = load_state(network, state, init, strict=False)
    log.info(
        "started from %s; %d tensors are new",
        init,
        len(difference.missing) + len(difference.shapes),
    )
    return network


def _teacher(
    source: str,
    device: torch.device,
    precision: torch.dtype | None,
    settings: DetectorSettings,
    engine: str,
) -> DetectorTeacher:
    known = read_card(Path(source)) if _is_file(source) else find(source)
    # A teacher's export without a card: the only one that is passed around so is the nano person
    # detector's.
    known = known or find("rtmdet-nano_person_320x320")
    network, card = load_network(Path(source) if _is_file(source) else source, card=known)
    log.info("teacher: %s", card.id)
    wanted = engine == "engine" or (
        engine == "auto" and device.type == "cpu" and find_spec("onnx") is not None
    )
    assert isinstance(network, RTMDet)
    backend = engine_for(network, card) if wanted else None
    network = network.to(device, memory_format=torch.channels_last)
    square = card.input_fit == "letterbox"
    return DetectorTeacher(
        network, card, precision, square=square, flip_average=settings.flip_average, engine=backend
    )


def _is_file(name: str) -> bool:
    return model_kind(name) != "name"
