"""Dense distillation for detectors: the student learns every cell's score and box from a teacher's
same cell.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rtmpose.backends import Backend, BackendOptions, open_backend
from rtmpose.errors import InputError, ModelError
from rtmpose.model_card import ModelCard
from rtmpose.networks.rtmdet import STRIDES, RTMDet
from rtmpose.ops.letterbox import PAD_VALUE
from rtmpose.training.detection.assign import cell_points
from rtmpose.training.detection.losses import (
    Predictions,
    giou_loss,
    mean_over_processes,
    quality_focal_loss,
    to_predictions,
)
from rtmpose.training.pose.distill import normalize

MIN_TEACHER_SCORE = 0.05
"""Cells that the teacher scores lower have no box to learn."""

Maps = tuple[list[Tensor], list[Tensor]]


class DetectorTeacher(nn.Module):
    """A detector of the same family that sees the student's inputs.

    Args:
        network: With the student's strides; any size.
        card: Describes it.
        precision: To compute in; None for float32.
        square: Pad the inputs to a square, as the published detectors expect (channel attention
            sees the padding).
        flip_average: Average with the mirror image.
        backend: Runs the network in place of torch; see :func:`open_teacher_backend`.
    """

    def __init__(
        self,
        network: nn.Module,
        card: ModelCard,
        precision: torch.dtype | None = None,
        *,
        square: bool = True,
        flip_average: bool = True,
        backend: Backend | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(network, RTMDet):
            # The student's cells are the teacher's only where both have the same head.
            raise ModelError(
                f"the teacher {card.id} is not an RTMDet: its cells are not the student's"
            )
        self.network = network.eval().requires_grad_(False)
        self.card = card
        self.precision = precision
        self.square = square
        self.flip_average = flip_average
        self.backend = backend

    @torch.no_grad()
    def forward(self, images: Tensor) -> Predictions:
        """BGR uint8 ``(N, H, W, 3)`` to the teacher's predictions; the logits are those of mean
        scores.
        """
        # The mirror image first: the maps of the last call are those of the images.
        flipped_logits, flipped_distances = (
            self._maps(images.flip(2)) if self.flip_average else ([], [])  # left to right
        )
        logits, distances = self._maps(images)
        if self.flip_average:
            logits = [
                _mean_logits(a, _unflip(b, a)) for a, b in zip(logits, flipped_logits, strict=True)
            ]
            # Left and right distances change places.
            distances = [
                (a + _unflip(b[:, [2, 1, 0, 3]], a)) / 2
                for a, b in zip(distances, flipped_distances, strict=True)
            ]
        return to_predictions(logits, distances)

    def _maps(self, images: Tensor) -> Maps:
        """The head's maps of the inputs, without those of the padding."""
        height, width = images.shape[1:3]

        # Padded below and to the right, so that the cells keep their numbers.
        side = max(height, width)
        if self.square and height != width:
            images = functional.pad(
                images, (0, 0, 0, side - width, 0, side - height), value=PAD_VALUE
            )

        if self.backend is not None:
            logits, distances = _maps_of(self.backend, images)
        else:
            with torch.autocast(
                images.device.type, self.precision, enabled=self.precision is not None
            ):
                logits, distances = self.network(normalize(images, self.card))

        # The cells of the padding, which the student does not have, are cut off.
        cells = [(height // stride, width // stride) for stride in STRIDES]
        return _crop_maps(logits, cells), _crop_maps(distances, cells)


def _crop_maps(maps: list[Tensor], cells: list[tuple[int, int]]) -> list[Tensor]:
    """The first rows and columns of each level, float32."""
    # (N, C, rows, cols)
    return [m[:, :, :rows, :cols].float() for m, (rows, cols) in zip(maps, cells, strict=True)]


def open_teacher_backend(network: RTMDet, card: ModelCard) -> Backend:
    """A network run by a backend on the CPU, float32, any shape: a third of torch's time.

    Raises:
        MissingDependencyError: onnx or a backend is not installed.
    """
    from rtmpose.exporting.onnx import OnnxOptions, write_onnx

    # Inputs of any shape: rectangular batches differ in theirs.
    card = replace(card, input_fit="rectangular")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "teacher.onnx"
        write_onnx(network, card, path, OnnxOptions(nms=False))

        # The file may go once it is open: the backend holds the network.
        options = BackendOptions(device="cpu", threads=torch.get_num_threads(), precision="fp32")
        return open_backend(path, card, options)


def _maps_of(backend: Backend, images: Tensor) -> Maps:
    """The head's maps from boxes ``(N, A, 4)`` and scores ``(N, A, C)``, which exports give."""
    outputs = backend(images.cpu().numpy())
    boxes, scores = (torch.from_numpy(np.asarray(o, np.float32)) for o in outputs)

    # Back from corners to distances, and from rows to levels.
    shapes = [(images.shape[1] // s, images.shape[2] // s) for s in STRIDES]
    points = cell_points(shapes, STRIDES)[:, :2]
    # (N, A, 4) left, top, right, bottom in pixels.
    sides = torch.cat([points - boxes[..., :2], boxes[..., 2:] - points], dim=2)
    levels = [h * w for h, w in shapes]

    def maps(rows: Tensor) -> list[Tensor]:
        parts = rows.transpose(1, 2).split(levels, dim=2)  # (N, C, h * w) per level
        return [p.unflatten(2, hw).to(images.device) for p, hw in zip(parts, shapes, strict=True)]

    return maps(torch.logit(scores, eps=1e-6)), maps(sides)


def dense_losses(student: Predictions, teacher: Predictions) -> tuple[Tensor, Tensor]:
    """How far a student is from its teacher.

    Scores: quality focal loss with the teacher's score as the target. Boxes: GIoU loss of the cells
    that the teacher scores at all, weighted by the score squared, so that the cells with detections
    count. Both are divided by the sum of their weights (at least 1), like the losses of the labels.

    Args:
        student: The student's output.
        teacher: The teacher's for the same inputs; of its classes the first ones are used.

    Returns:
        Loss of the scores and of the boxes.
    """
    # A teacher of 80 classes may teach a student of one: the first is the person.
    scores = teacher.logits[..., : student.logits.shape[2]].sigmoid()
    best = scores.amax(dim=2)  # (N, A)
    total = mean_over_processes(best.sum()).clamp(min=1)
    classes = quality_focal_loss(student.logits, scores).sum() / total

    # Boxes count where the teacher sees something, and all the more the more confident it is.
    rows = best > MIN_TEACHER_SCORE
    weights = best[rows].square()
    boxes = giou_loss(student.boxes[rows], teacher.boxes[rows]) * weights
    return classes, boxes.sum() / mean_over_processes(weights.sum()).clamp(min=1)


class MapDistillation:
    """The maps inside a student and inside its teacher: stages of the backbone, levels of the neck.

    Args:
        student: Its maps are kept with every call.
        teacher: Of the same shape, on inputs as they are, run by torch.

    Raises:
        InputError: it is another teacher.
    """

    def __init__(self, student: nn.Module, teacher: DetectorTeacher) -> None:
        if teacher.backend is not None or teacher.square:
            raise InputError(
                "the maps of a teacher are compared where torch runs it (--teacher-backend torch)"
                " on the student's inputs (a teacher for rectangular inputs)"
            )
        shapes = [
            {name: tuple(p.shape) for name, p in network.named_parameters()}
            for network in (student, teacher.network)
        ]
        if shapes[0] != shapes[1]:
            raise InputError(
                f"the maps of {teacher.card.id} are those of another network: take a teacher of the"
                " student's size, or none of them (--set detector.distill_maps=0)"
            )
        self._student = InnerMaps(student)
        self._teacher = InnerMaps(teacher.network)

    def loss(self) -> Tensor:
        """How far the student's maps of its last call are from the teacher's: the mean over the
        maps of the squared difference over the variance.
        """
        shares = []
        for ours, theirs in zip(self._student.maps, self._teacher.maps, strict=True):
            wanted = theirs.detach().float()
            shares.append((ours.float() - wanted).square().mean() / wanted.var().clamp(min=1e-6))
        return torch.stack(shares).mean()


class InnerMaps:
    """Keeps the maps of backbone and neck of a detector.

    Attributes:
        maps: Of the last call, ``(N, C, H, W)`` each.
    """

    def __init__(self, network: nn.Module) -> None:
        self.maps: list[Tensor] = []
        network.get_submodule("backbone").register_forward_hook(self._keep_first)
        network.get_submodule("neck").register_forward_hook(self._keep_more)

    def _keep_first(self, _module: nn.Module, _inputs: object, maps: list[Tensor]) -> None:
        self.maps = list(maps)

    def _keep_more(self, _module: nn.Module, _inputs: object, maps: list[Tensor]) -> None:
        self.maps = [*self.maps, *maps]


def _unflip(maps: Tensor, upright: Tensor) -> Tensor:
    """A mirror image's map ``(N, C, H, W)`` turned back; the first column is taken from the upright
    image's map.

    The point of cell c is at c times the stride: mirrored it is at the place of cell W - c, so cell
    0 has no partner.
    """
    # The mirror image's cell 0 has no partner either: it falls away.
    return torch.cat([upright[..., :1], maps.flip(3)[..., :-1]], dim=3)


def _mean_logits(a: Tensor, b: Tensor) -> Tensor:
    return torch.logit((a.sigmoid() + b.sigmoid()) / 2, eps=1e-6)
