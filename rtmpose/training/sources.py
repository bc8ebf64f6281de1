"""Models that a training starts from or learns from, by the names that users give."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

from torch import Tensor, nn

from rtmpose.errors import InputError, ModelError
from rtmpose.model_card import ModelCard
from rtmpose.networks import load_network, read_checkpoint
from rtmpose.networks.checkpoint import load_state
from rtmpose.zoo import model_kind

log = logging.getLogger(__name__)

TeacherBackend = Literal["auto", "inference", "torch"]
"""``inference`` (ONNX Runtime, OpenVINO) is faster than ``torch`` on a CPU."""

MIN_BACKBONE_SHARE = 0.5
"""Part of a backbone's weights that must fit for a model to be started from."""

OLD_TEACHER_BACKENDS = {"engine": "inference"}


def parse_teacher_backend(name: str) -> TeacherBackend:
    """The backend of that name.

    Raises:
        InputError: there is none.
    """
    # Former names are still read.
    name = OLD_TEACHER_BACKENDS.get(name, name)
    for known in get_args(TeacherBackend):
        if name == known:
            backend: TeacherBackend = known
            return backend
    raise InputError(
        f"--teacher-backend is one of {', '.join(get_args(TeacherBackend))}, not {name!r}"
    )


def teacher_name(teacher: str | None, init: str, recipe: str) -> str:
    """The model that a distillation learns from: the one named, or the one it starts from.

    Raises:
        InputError: there is neither.
    """
    # The network that is started from.
    name = teacher or (init if init not in ("none", "imagenet") else "")
    if not name:
        raise InputError(f"the recipe {recipe} learns from a teacher: name one (--teacher MODEL)")
    return name


def imagenet_backbone(card: ModelCard) -> str:
    """Id of the published classifier with a network's backbone."""
    # ``rtmpose-t``, ``rtmw-l-pruned``: the size is the part behind the first hyphen.
    size = card.architecture.partition("-")[2].split("-")[0]
    return f"cspnext-{'tiny' if size == 't' else size}_imagenet_224x224"


def load_matching(network: nn.Module, source: str) -> None:
    """Fill what fits of a network from another model: the backbone, usually.

    Args:
        network: Changed in place.
        source: A model of the zoo, or its file.

    Raises:
        ModelError: it cannot be loaded, or its backbone does not fit.
    """
    # Weight files as they are; ONNX files and zoo models through their network.
    if model_kind(source) != "name" and not source.endswith(".onnx"):
        state = read_checkpoint(Path(source))
    else:
        state = load_network(source)[0].state_dict()

    # Heads of other shapes keep their random weights; a random backbone is no start.
    fitting, total = _backbone_share(network, state)
    if fitting < MIN_BACKBONE_SHARE * total:
        raise ModelError(
            f"{source} is of another architecture: {fitting} of the {total} backbone weights fit."
            " Start from a model of the same size, from --init imagenet, or from --init none"
        )
    difference = load_state(network, state, source, strict=False)
    new = _layers((*difference.missing, *(key for key, _, _ in difference.shapes)))
    log.info(
        "loaded from %s: %d of %d backbone weights; %s",
        source,
        fitting,
        total,
        f"new: {', '.join(new)}" if new else "nothing is new",
    )


def _backbone_share(network: nn.Module, state: Mapping[str, Tensor]) -> tuple[int, int]:
    """How many of the network's backbone weights a checkpoint has in the same shape, of how many.

    Counters and vectors are left out: they fit by chance.
    """
    ours = {
        key: value.shape
        for key, value in network.state_dict().items()
        if key.startswith("backbone.") and value.ndim > 1
    }
    fitting = sum(key in state and state[key].shape == shape for key, shape in ours.items())
    return fitting, len(ours)


def _layers(keys: Sequence[str]) -> list[str]:
    """The first two parts of the names of weights, each once: ``head.cls_x``."""
    return list(dict.fromkeys(".".join(key.split(".")[:2]) for key in keys))
