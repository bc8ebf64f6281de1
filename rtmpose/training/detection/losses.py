"""Losses of the RTMDet detector: quality focal loss for classes, GIoU for boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from rtmpose.networks.rtmdet import STRIDES
from rtmpose.training.detection.assign import Assignment, assign, cell_points

BOX_WEIGHT = 2.0
CROWD_COVER = 0.5
"""A cell whose predicted box lies in a crowd region by this share of its own area is not told it is
background.
"""


@dataclass(frozen=True, eq=False)
class Predictions:
    """A detector's output as rows, all levels behind each other, float32.

    Attributes:
        logits: ``(N, A, C)`` class logits.
        boxes: ``(N, A, 4)`` predicted boxes xyxy in input pixels.
        points: ``(A, 3)`` x, y, stride of the cells.
        sizes: Cells per level.
    """

    logits: Tensor
    boxes: Tensor
    points: Tensor
    sizes: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Targets:
    """The people of one image.

    Attributes:
        boxes: ``(M, 4)`` xyxy in input pixels.
        labels: ``(M,)`` classes.
        weights: ``(M,)`` how much each box counts; 1 for human labels.
        crowds: ``(R, 4)`` regions in which nothing is known.
    """

    boxes: Tensor
    labels: Tensor
    weights: Tensor
    crowds: Tensor


def to_cells(
    logits: Sequence[Tensor], distances: Sequence[Tensor], strides: tuple[int, ...] = STRIDES
) -> Predictions:
    """The head's maps, per level ``(N, C, H, W)`` and ``(N, 4, H, W)`` in input pixels, as rows."""
    shapes = [(int(m.shape[2]), int(m.shape[3])) for m in logits]
    points = cell_points(shapes, strides, logits[0].device)
    classes = torch.cat([m.float().flatten(2).transpose(1, 2) for m in logits], dim=1)
    sides = torch.cat([m.float().flatten(2).transpose(1, 2) for m in distances], dim=1)
    center = points[:, :2]
    boxes = torch.cat([center - sides[..., :2], center + sides[..., 2:]], dim=2)
    return Predictions(classes, boxes, points, tuple(h * w for h, w in shapes))


def quality_focal_loss(logits: Tensor, target: Tensor, beta: float = 2.0) -> Tensor:
    """Per element: cross entropy with the soft target, times |target - score|^beta (Li et al.,
    2020).

    Args:
        logits: ``(..., C)``.
        target: ``(..., C)``, the wanted overlap 0..1 at the class of the box, else 0.
        beta: How much less easy cells count.
    """
    loss = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return loss * (target - logits.sigmoid()).abs().pow(beta)


def giou_loss(predicted: Tensor, true: Tensor, eps: float = 1e-6) -> Tensor:
    """Per pair of boxes ``(N, 4)`` xyxy: 1 less the generalized intersection over union
    (Rezatofighi et al., 2019).
    """
    size = (
        torch.minimum(predicted[:, 2:], true[:, 2:]) - torch.maximum(predicted[:, :2], true[:, :2])
    ).clamp(min=0)
    hull = torch.maximum(predicted[:, 2:], true[:, 2:]) - torch.minimum(
        predicted[:, :2], true[:, :2]
    )
    common = size[:, 0] * size[:, 1]
    area_p, area_t = ((b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1]) for b in (predicted, true))
    union = (area_p + area_t - common).clamp(min=eps)
    around = (hull[:, 0] * hull[:, 1]).clamp(min=eps)
    return 1 - (common / union - (around - union) / around)


def detection_losses(
    cells: Predictions, truths: Sequence[Targets], *, topk: int = 13
) -> tuple[Tensor, Tensor, list[Assignment]]:
    """Class and box loss per level, and what was assigned.

    Both are weighted sums over the batch divided by the sum of the qualities of the assigned cells,
    at least 1.

    Args:
        cells: The output for the batch.
        truths: The people of each image.
        topk: Of the assigner.

    Returns:
        ``loss_cls`` and ``loss_bbox``, one value per level each, and the assignment of each image.
    """
    assigned = [
        assign(
            cells.points, cells.boxes[i].detach(), cells.logits[i].detach(), t.boxes, t.labels, topk
        )
        for i, t in enumerate(truths)
    ]
    target = torch.zeros_like(cells.logits)
    weights = torch.ones_like(cells.logits)
    box_parts: list[Tensor] = []
    levels = torch.repeat_interleave(
        torch.arange(len(cells.sizes), device=target.device),
        torch.tensor(cells.sizes, device=target.device),
    )
    number = len(cells.sizes)
    sums = target.new_zeros(number)
    total = target.new_zeros(())
    for i, (truth, found) in enumerate(zip(truths, assigned, strict=True)):
        rows = (found.box >= 0).nonzero().squeeze(1)
        if len(truth.crowds):
            unknown = _in_crowd(cells.boxes[i].detach(), cells.points, truth.crowds) & (
                found.box < 0
            )
            weights[i][unknown] = 0
        if not len(rows):
            continue
        which = found.box[rows]
        quality, weight = found.quality[rows], truth.weights[which]
        target[i, rows, truth.labels[which]] = quality
        weights[i, rows] = weight[:, None]
        loss = giou_loss(cells.boxes[i, rows], truth.boxes[which]) * quality * weight
        box_parts.append(sums.new_zeros(number).index_add(0, levels[rows], loss))
        total = total + (quality * weight).sum()
    total = mean_over_processes(total).clamp(min=1)
    classes = (quality_focal_loss(cells.logits, target) * weights).sum(dim=(0, 2))
    loss_cls = torch.zeros(number, device=target.device).index_add(0, levels, classes) / total
    # Keeps a batch without people on the graph.
    zero = cells.boxes.sum() * 0
    loss_bbox = (
        BOX_WEIGHT * (torch.stack(box_parts).sum(dim=0) / total if box_parts else sums) + zero
    )
    return loss_cls, loss_bbox, assigned


def mean_over_processes(value: Tensor) -> Tensor:
    """So that the gradients of several processes are those of one with all the pictures."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return value
    mean = value.clone()
    torch.distributed.all_reduce(mean)
    return mean / torch.distributed.get_world_size()


def _in_crowd(boxes: Tensor, points: Tensor, crowds: Tensor) -> Tensor:
    """Which cells ``(A,)`` have their point in a region, or a predicted box that lies in one for
    the most part.
    """
    corner = torch.maximum(boxes[:, None, :2], crowds[None, :, :2])
    size = (torch.minimum(boxes[:, None, 2:], crowds[None, :, 2:]) - corner).clamp(min=0)
    area = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).clamp(min=1e-6)
    covered = size[..., 0] * size[..., 1] / area[:, None] > CROWD_COVER
    x, y = points[:, None, 0], points[:, None, 1]
    within = (x > crowds[:, 0]) & (x < crowds[:, 2]) & (y > crowds[:, 1]) & (y < crowds[:, 3])
    return (covered | within).any(dim=1)
