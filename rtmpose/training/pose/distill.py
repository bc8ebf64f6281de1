"""Teachers for distillation: a larger or better-run pose model that looks at the very same crops."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rtmpose.errors import ModelError
from rtmpose.model_card import ModelCard
from rtmpose.skeletons import skeleton_of
from rtmpose.training import batch_norm
from rtmpose.training.devices import keep_in_float32
from rtmpose.training.least_squares import Moments, regress

Logits = tuple[Tensor, Tensor]
Teacher = Callable[[Tensor], Logits]
"""BGR uint8 crops ``(N, h, w, 3)`` to logits ``(N, K, 2w)`` and ``(N, K, 2h)``."""


def engine_teacher(model: str | Path, card: ModelCard) -> tuple[Teacher, ModelCard]:
    """A teacher run by an inference engine: on CPUs faster than torch, and any SimCC model will do.

    Raises:
        ModelError: it does not take the student's crops or has other keypoints.
    """
    from rtmpose.backends import BackendOptions
    from rtmpose.pose_estimator import PoseEstimator

    estimator = PoseEstimator(model, options=BackendOptions())
    _check(estimator.card, card, len(estimator.skeleton))

    def run(images: Tensor) -> Logits:
        x, y = estimator.infer(np.ascontiguousarray(images.cpu().numpy()))
        return (
            torch.from_numpy(np.asarray(x, np.float32)).to(images.device),
            torch.from_numpy(np.asarray(y, np.float32)).to(images.device),
        )

    return run, estimator.card


class StageMaps:
    """Keeps the maps that the stages of a backbone put out.

    Args:
        network: Has ``backbone.stage1`` to ``backbone.stage4``.
        count: How many stages, the last ones.

    Attributes:
        maps: Of the network's last call, ``(N, C, H, W)`` each, from the first stage to the last.
    """

    def __init__(self, network: nn.Module, count: int) -> None:
        backbone = network.get_submodule("backbone")
        stages = [module for name, module in backbone.named_children() if name.startswith("stage")][
            -count:
        ]
        self.maps = [torch.empty(0)] * len(stages)
        for number, stage in enumerate(stages):
            stage.register_forward_hook(partial(self._keep, number))

    def _keep(
        self, number: int, _module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor
    ) -> None:
        self.maps[number] = output


class TorchTeacher(nn.Module):
    """A teacher run by torch, whose maps can be learned from (:class:`StageMaps`)."""

    def __init__(self, network: nn.Module, card: ModelCard, precision: torch.dtype | None) -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(False)
        self.card, self.precision = card, precision

    def prepare(self, batches: Iterable[Tensor], float32: Sequence[str]) -> None:
        """Keep rounding from harming it, as in the student's training; nothing in float32.

        Args:
            batches: Crops, as in :meth:`forward`; a few hundred.
            float32: Modules that mixed precision leaves alone.
        """
        if self.precision is None:
            return

        def run(network: nn.Module, images: Tensor) -> None:
            network(normalize(images, self.card))

        batch_norm.center(self.network, batches, run)
        keep_in_float32(self.network, float32)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Logits:
        """See :data:`Teacher`."""
        pixels = normalize(images, self.card)
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


def flip_averaged(
    teacher: Teacher, images: Tensor, flip_indices: Sequence[int], upright: Logits | None = None
) -> Logits:
    """The mean of the outputs for the crops and for their mirror images.

    A point at column x of the crop is at w - 1 - x of the mirror image, hence at bin 2w - 2 - b:
    the mirrored vector is shifted by one bin, so that both speak of the same place. ``upright`` are
    the outputs for the crops themselves, where they are known already.
    """
    x, y = teacher(images) if upright is None else upright
    flip = list(flip_indices)
    mirrored_x, mirrored_y = teacher(images.flip(2).contiguous())
    back = mirrored_x[:, flip].flip(2)
    back = torch.cat([back[..., 1:], x[..., -1:]], dim=2)
    return (x + back) / 2, (y + mirrored_y[:, flip]) / 2


class MapLoss(nn.Module):
    """How far a student's maps are from telling the teacher's, through a 1x1 convolution per map.

    Args:
        student: Channels of the student's maps.
        teacher: Channels of the teacher's.
    """

    def __init__(self, student: Sequence[int], teacher: Sequence[int]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(s, t, 1) for s, t in zip(student, teacher, strict=True)
        )

    @torch.no_grad()
    def fit(self, pairs: Iterable[tuple[Sequence[Tensor], Sequence[Tensor]]]) -> None:
        """Start from the convolutions that predict best, by least squares over the positions of
        some maps.

        Without, the student would first be taught by random convolutions.

        Args:
            pairs: Maps of the student and of the teacher, a batch at a time.
        """
        found = [Moments.none() for _ in self.convs]
        for student, teacher in pairs:
            for moments, ours, theirs in zip(found, student, teacher, strict=True):
                theirs = _resize_map(theirs, ours)
                moments.add(
                    torch.cat([ours.detach().cpu().float(), theirs.detach().cpu().float()], dim=1)
                )
        for conv, moments in zip(self.convs, found, strict=True):
            ours = conv.in_channels
            columns = torch.arange(ours + conv.out_channels)
            factors, offset = regress(moments, columns[:ours], columns[ours:])
            conv.weight.copy_(factors.T[:, :, None, None])
            conv.bias.copy_(offset)

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
        """The share of the variance of the teacher's maps that is missed, mean over the maps.

        The mean squared difference of DWPose (arXiv 2307.15880, section 3.1), over the variance of
        the channels.
        """
        shares = []
        for conv, ours, theirs in zip(self.convs, student, teacher, strict=True):
            target = _resize_map(theirs.float(), ours)
            variance = target.var((0, 2, 3), correction=0).mean().clamp(min=1e-12)
            shares.append(functional.mse_loss(conv(ours).float(), target) / variance)
        return torch.stack(shares).mean()


def resize_crops(images: Tensor, wh: tuple[int, int]) -> Tensor:
    """Crops in another size, bilinearly, for a teacher that takes larger ones.

    A crop's pixel (x, y) shows what (x s, y s) shows of one that is s times as large: no half
    pixels in between, as the crops are cut (:mod:`rtmpose.ops.crop`).

    Args:
        images: ``(N, h, w, 3)`` uint8.
        wh: Size wanted; the same tensor is returned where it has it.
    """
    height, width = images.shape[1:3]
    if (width, height) == wh:
        return images
    axes = (
        torch.arange(new, device=images.device) * (2 * old / new / (old - 1)) - 1
        for new, old in ((wh[1], height), (wh[0], width))
    )
    y, x = torch.meshgrid(*axes, indexing="ij")
    grid = torch.stack([x, y], dim=2).expand(len(images), -1, -1, -1)
    pixels = images.permute(0, 3, 1, 2).float()
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
    return ((pixels - mean) / std).permute(0, 3, 1, 2)


def _resize_map(theirs: Tensor, ours: Tensor) -> Tensor:
    """A teacher's map at the size of the student's."""
    if theirs.shape[2:] == ours.shape[2:]:
        return theirs
    return functional.interpolate(theirs, ours.shape[2:], mode="bilinear", align_corners=True)


def _check(teacher: ModelCard, student: ModelCard, keypoints: int) -> None:
    wanted = len(skeleton_of(student) or ()) or keypoints
    bins, ours = (
        [round(side * card.codec.split_ratio) for side in card.input_wh]
        for card in (teacher, student)
    )
    if teacher.codec.kind != "simcc" or bins != ours or keypoints != wanted:
        raise ModelError(
            f"the teacher {teacher.id} ({keypoints} keypoints,"
            f" {teacher.input_wh[0]}x{teacher.input_wh[1]}, {teacher.codec.kind}) does not fit a"
            f" student with {wanted} keypoints, {student.input_wh[0]}x{student.input_wh[1]},"
            f" {student.codec.kind}"
        )
