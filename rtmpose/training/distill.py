"""Teachers for distillation: a larger or better-run pose model that looks at the very same crops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rtmpose.errors import ModelError
from rtmpose.skeletons import skeleton_of
from rtmpose.types import ModelCard

Logits = tuple[Tensor, Tensor]
Teacher = Callable[[Tensor], Logits]
"""BGR uint8 crops ``(N, h, w, 3)`` to logits ``(N, K, 2w)`` and ``(N, K, 2h)``."""


def engine_teacher(model: str | Path, card: ModelCard) -> tuple[Teacher, ModelCard]:
    """A teacher run by an inference engine: on CPUs faster than torch, and any SimCC model will do.

    Raises:
        ModelError: it does not take the student's crops or has other keypoints.
    """
    from rtmpose.backends import BackendOptions
    from rtmpose.pose.rtmpose import PoseEstimator

    estimator = PoseEstimator(model, options=BackendOptions())
    _check(estimator.card, card, len(estimator.skeleton))

    def run(images: Tensor) -> Logits:
        x, y = estimator.network(np.ascontiguousarray(images.cpu().numpy()))
        return (
            torch.from_numpy(np.asarray(x, np.float32)).to(images.device),
            torch.from_numpy(np.asarray(y, np.float32)).to(images.device),
        )

    return run, estimator.card


class TorchTeacher(nn.Module):
    """A teacher run by torch; keeps the last backbone map for feature distillation."""

    def __init__(self, network: nn.Module, card: ModelCard, precision: torch.dtype | None) -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(False)
        self.card, self.precision, self.features = card, precision, torch.empty(0)
        self.network.get_submodule("backbone").register_forward_hook(self._keep)

    def _keep(self, _module: nn.Module, _inputs: tuple[Tensor, ...], output: Sequence[Tensor]) -> None:
        self.features = output[-1]

    @torch.no_grad()
    def forward(self, images: Tensor) -> Logits:
        """See :data:`Teacher`."""
        pixels = normalise(images, self.card)
        with torch.autocast(images.device.type, self.precision, enabled=self.precision is not None):
            x, y = self.network(pixels)
        return x.float(), y.float()


def torch_teacher(
    model: str | Path, card: ModelCard, device: torch.device, precision: torch.dtype | None
) -> TorchTeacher:
    """A teacher whose weights torch can load.

    Raises:
        ModelError: as :func:`engine_teacher`.
    """
    from rtmpose.networks import load_network

    network, known = load_network(model)
    _check(known, card, len(skeleton_of(known) or ()))
    return TorchTeacher(network.to(device, memory_format=torch.channels_last), known, precision)


def flip_averaged(teacher: Teacher, images: Tensor, flip_indices: Sequence[int]) -> Logits:
    """The mean of the outputs for the crops and for their mirror images.

    A point at column x of the crop is at w - 1 - x of the mirror image, hence at bin 2w - 2 - b: the mirrored vector
    is shifted by one bin, so that both speak of the same place.
    """
    x, y = teacher(images)
    flip = list(flip_indices)
    mirrored_x, mirrored_y = teacher(images.flip(2).contiguous())
    back = mirrored_x[:, flip].flip(2)
    back = torch.cat([back[..., 1:], x[..., -1:]], dim=2)
    return (x + back) / 2, (y + mirrored_y[:, flip]) / 2


class FeatureProjection(nn.Module):
    """A 1x1 convolution from the student's last map to the width of the teacher's."""

    def __init__(self, student: int, teacher: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(student, teacher, 1)

    def forward(self, features: Tensor, target: Tensor) -> Tensor:
        """Mean squared difference of the projected map from the teacher's (DWPose, section 3.1)."""
        return functional.mse_loss(self.conv(features).float(), target.float())


def normalise(images: Tensor, card: ModelCard) -> Tensor:
    """BGR uint8 ``(N, h, w, 3)`` to normalised ``(N, 3, h, w)`` float32, channels last in memory.

    The same as :func:`rtmpose.networks.load.to_tensor`, on the device of the images.
    """
    pixels = images.float()
    if card.normalisation.colour == "rgb":
        pixels = pixels.flip(3)
    mean = torch.tensor(card.normalisation.mean, device=images.device)
    std = torch.tensor(card.normalisation.std, device=images.device)
    return ((pixels - mean) / std).permute(0, 3, 1, 2)


def _check(teacher: ModelCard, student: ModelCard, keypoints: int) -> None:
    wanted = len(skeleton_of(student) or ()) or keypoints
    if teacher.codec.kind != "simcc" or teacher.input_wh != student.input_wh or keypoints != wanted:
        raise ModelError(
            f"the teacher {teacher.id} ({keypoints} keypoints, {teacher.input_wh[0]}x{teacher.input_wh[1]}, "
            f"{teacher.codec.kind}) does not fit a student with {wanted} keypoints, "
            f"{student.input_wh[0]}x{student.input_wh[1]}, {student.codec.kind}"
        )
