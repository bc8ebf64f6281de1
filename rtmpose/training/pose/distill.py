"""Teachers for distillation: pose models that see the very same crops as the student."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rtmpose.errors import ModelError
from rtmpose.model_card import ModelCard
from rtmpose.skeletons import skeleton_of
from rtmpose.training import batch_norm
from rtmpose.training.devices import keep_in_float32, to_device

Logits = tuple[Tensor, Tensor]
Teacher = Callable[[Tensor], Logits]
"""BGR uint8 crops ``(N, h, w, 3)`` to logits ``(N, K, 2w)`` and ``(N, K, 2h)``."""


def backend_teacher(model: str | Path, card: ModelCard) -> tuple[Teacher, ModelCard]:
    """A teacher run by an inference backend: on CPUs faster than torch, for any SimCC model.

    Raises:
        ModelError: it does not take the student's crops or has other keypoints.
    """
    from rtmpose.backends import BackendOptions
    from rtmpose.pose_estimator import PoseEstimator

    # The default backend of this machine.
    estimator = PoseEstimator(model, options=BackendOptions())
    check_teacher(estimator.card, card, len(estimator.skeleton))

    # Crops go through numpy, and the outputs back to the student's device.
    def run(images: Tensor) -> Logits:
        x, y = estimator.infer(np.ascontiguousarray(images.cpu().numpy()))
        return (
            torch.from_numpy(np.asarray(x, np.float32)).to(images.device),
            torch.from_numpy(np.asarray(y, np.float32)).to(images.device),
        )

    return run, estimator.card


class TorchTeacher(nn.Module):
    """A teacher run by torch, whose maps can be learned from
    (:mod:`rtmpose.training.pose.feature_distill`).
    """

    def __init__(self, network: nn.Module, card: ModelCard, precision: torch.dtype | None) -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(False)
        self.card = card
        self.precision = precision

    def prepare(self, batches: Iterable[Tensor], float32: Sequence[str]) -> None:
        """Protect it from rounding, as in the student's training; does nothing in float32.

        Args:
            batches: Crops, as in :meth:`forward`; a few hundred.
            float32: Modules that mixed precision leaves alone.
        """
        if self.precision is None:  # nothing is rounded
            return

        def run(network: nn.Module, images: Tensor) -> None:
            network(normalize(images, self.card))

        # As in the student's training: inputs less their means, and some layers in float32.
        batch_norm.center(self.network, batches, run)
        keep_in_float32(self.network, float32)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Logits:
        """See :data:`Teacher`."""
        pixels = normalize(images, self.card)

        # Autocast only where a lower precision was chosen; the outputs are float32 again.
        with torch.autocast(images.device.type, self.precision, enabled=self.precision is not None):
            x, y = self.network(pixels)
        return x.float(), y.float()


def torch_teacher(
    model: str | Path, card: ModelCard, device: torch.device, precision: torch.dtype | None
) -> TorchTeacher:
    """A teacher whose weights torch can load.

    Raises:
        ModelError: as :func:`backend_teacher`.
    """
    from rtmpose.networks import load_network

    # The teacher must have the student's keypoints and bins.
    network, teacher_card = load_network(model)
    check_teacher(teacher_card, card, len(skeleton_of(teacher_card) or ()))
    return TorchTeacher(to_device(network, device), teacher_card, precision)


def flip_averaged(
    teacher: Teacher, images: Tensor, flip_indices: Sequence[int], upright: Logits | None = None
) -> Logits:
    """The mean of the outputs for the crops and for their mirror images.

    A point at column x of the crop is at w - 1 - x of the mirror image, hence at bin 2w - 2 - b:
    the mirrored vector is shifted by one bin, so that both speak of the same place. ``upright`` are
    the outputs for the crops themselves, where the caller has them already.
    """
    # Logits (N, K, 2w) and (N, K, 2h), upright and mirrored.
    x, y = teacher(images) if upright is None else upright
    flip = list(flip_indices)
    mirrored_x, mirrored_y = teacher(images.flip(2).contiguous())

    # Turned back, and shifted; the last bin has no partner.
    back = mirrored_x[:, flip].flip(2)
    back = torch.cat([back[..., 1:], x[..., -1:]], dim=2)
    return (x + back) / 2, (y + mirrored_y[:, flip]) / 2


def resize_crops(images: Tensor, wh: tuple[int, int]) -> Tensor:
    """Crops resized bilinearly, for a teacher that takes larger ones.

    A crop's pixel (x, y) shows what (x s, y s) shows of one that is s times as large: no half
    pixels in between, as the crops are cut (:mod:`rtmpose.ops.crop`).

    Args:
        images: ``(N, h, w, 3)`` uint8.
        wh: New width and height; crops of this size are returned as they are.
    """
    height, width = images.shape[1:3]
    if (width, height) == wh:
        return images

    # Sampling positions along y and x in -1..1, where old pixel i lies at 2 i / (old - 1) - 1.
    axes = (
        torch.arange(new, device=images.device) * (2 * old / new / (old - 1)) - 1
        for new, old in ((wh[1], height), (wh[0], width))
    )
    y, x = torch.meshgrid(*axes, indexing="ij")
    grid = torch.stack([x, y], dim=2).expand(len(images), -1, -1, -1)  # (N, h, w, 2)
    pixels = images.permute(0, 3, 1, 2).float()  # (N, h, w, 3) -> (N, 3, h, w)
    found = functional.grid_sample(pixels, grid, padding_mode="border", align_corners=True)
    return found.round().to(images.dtype).permute(0, 2, 3, 1).contiguous()


def normalize(images: Tensor, card: ModelCard) -> Tensor:
    """BGR uint8 ``(N, h, w, 3)`` to normalized ``(N, 3, h, w)`` float32, channels last in memory.

    The same as :func:`rtmpose.networks.load.to_tensor`, on the device of the images.
    """
    pixels = images.float()
    if card.normalization.color == "rgb":
        pixels = pixels.flip(3)
    mean = torch.tensor(card.normalization.mean, device=images.device)
    std = torch.tensor(card.normalization.std, device=images.device)
    return ((pixels - mean) / std).permute(0, 3, 1, 2)  # (N, 3, h, w): a view, hence channels last


def check_teacher(teacher: ModelCard, student: ModelCard, keypoints: int) -> None:
    """Raise a ModelError unless a teacher has the student's keypoints and bins."""
    # The number of keypoints, and the number of bins along x and y.
    expected = len(skeleton_of(student) or ()) or keypoints
    teacher_bins, student_bins = (
        [round(side * card.codec.split_ratio) for side in card.input_wh]
        for card in (teacher, student)
    )
    same_output = teacher.codec.kind == "simcc" and teacher_bins == student_bins
    if not same_output or keypoints != expected:
        raise ModelError(
            f"the teacher {teacher.id} ({keypoints} keypoints,"
            f" {teacher.input_wh[0]}x{teacher.input_wh[1]}, {teacher.codec.kind}) does not fit a"
            f" student with {expected} keypoints, {student.input_wh[0]}x{student.input_wh[1]},"
            f" {student.codec.kind}"
        )
