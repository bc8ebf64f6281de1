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
"""A cell whose predicted box lies in a crowd region by more than this share of its area does not
learn that it is background.
"""


@dataclass(frozen=True, eq=False)
class Predictions:
    """A detector's output as rows, all levels concatenated, float32.

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
        crowds: ``(R, 4)`` regions that do not count as background.
    """

    boxes: Tensor
    labels: Tensor
    weights: Tensor
    crowds: Tensor


def to_predictions(
    logits: Sequence[Tensor], distances: Sequence[Tensor], strides: tuple[int, ...] = STRIDES
) -> Predictions:
    """The head's maps, per level ``(N, C, H, W)`` and ``(N, 4, H, W)`` in input pixels, as rows."""
    # All levels in one list of cells: (N, C, H, W) -> (N, H * W, C) each.
    shapes = [(int(m.shape[2]), int(m.shape[3])) for m in logits]
    points = cell_points(shapes, strides, logits[0].device)
    classes = torch.cat([m.float().flatten(2).transpose(1, 2) for m in logits], dim=1)
    sides = torch.cat([m.float().flatten(2).transpose(1, 2) for m in distances], dim=1)

    # Distances from the cell's point to the four sides give the corners.
    center = points[:, :2]
    boxes = torch.cat([center - sides[..., :2], center + sides[..., 2:]], dim=2)
    return Predictions(classes, boxes, points, tuple(h * w for h, w in shapes))


def quality_focal_loss(logits: Tensor, target: Tensor, beta: float = 2.0) -> Tensor:
    """Per element: cross entropy with the soft target, times |target - score|^beta (Li et al.,
    2020).

    Args:
        logits: ``(..., C)``.
        target: ``(..., C)``, the overlap 0..1 at the class of the box, else 0.
        beta: Exponent; the larger, the less easy cells count.
    """
    loss = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")  # (..., C)
    return loss * (target - logits.sigmoid()).abs().pow(beta)


def giou_loss(predicted: Tensor, true: Tensor, eps: float = 1e-6) -> Tensor:
    """Per pair of boxes ``(N, 4)`` xyxy: 1 less the generalized intersection over union
    (Rezatofighi et al., 2019).
    """
    # The intersection, and the smallest box around both (the hull).
    low = torch.maximum(predicted[:, :2], true[:, :2])
    high = torch.minimum(predicted[:, 2:], true[:, 2:])
    size = (high - low).clamp(min=0)
    hull = torch.maximum(predicted[:, 2:], true[:, 2:]) - torch.minimum(
        predicted[:, :2], true[:, :2]
    )
    common = size[:, 0] * size[:, 1]
    area_p, area_t = ((b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1]) for b in (predicted, true))

    # IoU, less the share of the hull that neither box covers.
    union = (area_p + area_t - common).clamp(min=eps)
    enclosing = (hull[:, 0] * hull[:, 1]).clamp(min=eps)
    return 1 - (common / union - (enclosing - union) / enclosing)


def detection_losses(
    predictions: Predictions, targets: Sequence[Targets], *, topk: int = 13
) -> tuple[Tensor, Tensor, list[Assignment]]:
    """Class and box loss per level, and what was assigned.

    Both are weighted sums over the batch divided by the sum of the qualities of the assigned cells,
    at least 1.

    Args:
        predictions: The output for the batch.
        targets: The people of each image.
        topk: Of the assigner.

    Returns:
        ``loss_cls`` and ``loss_bbox``, one value per level each, and the assignment of each image.
    """
    logits = predictions.logits
    points = predictions.points
    device = logits.device
    levels = len(predictions.sizes)
    level_of_cell = _level_of_cell(predictions.sizes, device)

    # Which cells learn which box, without gradients.
    assigned = [
        assign(points, boxes.detach(), scores.detach(), t.boxes, t.labels, topk)
        for boxes, scores, t in zip(predictions.boxes, logits, targets, strict=True)
    ]

    # Every cell learns a score: the quality of its box at the box's class, 0 elsewhere.
    score_target = torch.zeros_like(logits)
    score_weight = torch.ones_like(logits)
    box_losses: list[Tensor] = []
    total = logits.new_zeros(())
    for i, (target, found) in enumerate(zip(targets, assigned, strict=True)):
        boxes = predictions.boxes[i]

        # What lies in a crowd and learns no box does not learn to be background either.
        if len(target.crowds):
            unknown = _in_crowd(boxes.detach(), points, target.crowds) & (found.box < 0)
            score_weight[i][unknown] = 0

        # The cells that learn a box.
        rows = (found.box >= 0).nonzero().squeeze(1)
        if not len(rows):
            continue
        which = found.box[rows]
        quality = found.quality[rows]
        weight = target.weights[which]

        # The class target is the overlap with the box; the box loss is weighted by it.
        score_target[i, rows, target.labels[which]] = quality
        score_weight[i, rows] = weight[:, None]
        loss = giou_loss(boxes[rows], target.boxes[which]) * quality * weight
        box_losses.append(loss.new_zeros(levels).index_add(0, level_of_cell[rows], loss))
        total = total + (quality * weight).sum()

    # Sums per level over the sum of all qualities.
    total = mean_over_processes(total).clamp(min=1)
    per_cell = (quality_focal_loss(logits, score_target) * score_weight).sum(dim=(0, 2))  # (A,)
    loss_cls = torch.zeros(levels, device=device).index_add(0, level_of_cell, per_cell) / total
    # Keeps a batch without people on the graph.
    loss_bbox = predictions.boxes.sum() * 0 + logits.new_zeros(levels)
    if box_losses:
        loss_bbox = BOX_WEIGHT * (torch.stack(box_losses).sum(dim=0) / total) + loss_bbox
    return loss_cls, loss_bbox, assigned


def _level_of_cell(sizes: tuple[int, ...], device: torch.device) -> Tensor:
    """The number of the level ``(A,)`` that each cell belongs to."""
    levels = torch.arange(len(sizes), device=device)
    return torch.repeat_interleave(levels, torch.tensor(sizes, device=device))


def mean_over_processes(value: Tensor) -> Tensor:
    """The mean over processes, so that their gradients are those of one with all the images."""
    # A single process has nothing to exchange.
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return value
    mean = value.clone()
    torch.distributed.all_reduce(mean)
    return mean / torch.distributed.get_world_size()


def _in_crowd(boxes: Tensor, points: Tensor, crowds: Tensor) -> Tensor:
    """Which cells ``(A,)`` have their point in a region, or a predicted box that lies mostly in
    one.
    """
    # By the share of the predicted box.
    corner = torch.maximum(boxes[:, None, :2], crowds[None, :, :2])
    size = (torch.minimum(boxes[:, None, 2:], crowds[None, :, 2:]) - corner).clamp(min=0)
    area = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).clamp(min=1e-6)
    covered = size[..., 0] * size[..., 1] / area[:, None] > CROWD_COVER

    # By the cell's point.
    x = points[:, None, 0]  # (A, 1), against crowds (R,)
    y = points[:, None, 1]
    within = (x > crowds[:, 0]) & (x < crowds[:, 2]) & (y > crowds[:, 1]) & (y < crowds[:, 3])
    return (covered | within).any(dim=1)
