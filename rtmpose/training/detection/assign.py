"""Which cells of a detector learn which box: the dynamic soft-label assigner (Lyu et al., 2022,
section 3.3).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

CENTER_RADIUS = 3.0
"""Distance from a box's center, in cells, at which the cost of the distance is 1."""

IOU_WEIGHT = 3.0

EPS = 1e-7


@dataclass(frozen=True)
class Assignment:
    """What cells learn.

    Attributes:
        box: ``(A,)`` int64, the number of the box that a cell learns; -1 for background.
        quality: ``(A,)`` overlap of the cell's predicted box with that box, 0..1; 0 for background.
    """

    box: Tensor
    quality: Tensor


def cell_points(
    shapes: list[tuple[int, int]], strides: tuple[int, ...], device: torch.device | None = None
) -> Tensor:
    """Points and strides ``(A, 3)`` x, y, stride in input pixels of the cells of maps with these
    heights and widths.
    """
    parts = []
    for (height, width), stride in zip(shapes, strides, strict=True):
        # The point of a cell is its top left corner: column and row times the stride.
        y, x = torch.meshgrid(
            torch.arange(height, device=device), torch.arange(width, device=device), indexing="ij"
        )
        points = torch.stack([x * stride, y * stride, torch.full_like(x, stride)], dim=2)
        parts.append(points.reshape(-1, 3).float())  # (H, W, 3) -> (H * W, 3)
    return torch.cat(parts)


def pairwise_iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union ``(N, M)`` of boxes ``(N, 4)`` and ``(M, 4)`` xyxy."""
    # Corners of the intersections (N, M, 2); sizes below 0 mean none.
    low = torch.maximum(a[:, None, :2], b[None, :, :2])
    high = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    size = (high - low).clamp(min=0)
    common = size[..., 0] * size[..., 1]
    area_a, area_b = ((x[:, 2] - x[:, 0]) * (x[:, 3] - x[:, 1]) for x in (a, b))
    return common / (area_a[:, None] + area_b[None] - common).clamp(min=1e-6)  # (N, M)


@torch.no_grad()
def assign(
    points: Tensor, predicted: Tensor, logits: Tensor, boxes: Tensor, labels: Tensor, topk: int = 13
) -> Assignment:
    """Assign the cells of one image to its boxes.

    The cost of a cell for a box is the quality focal loss of its class with the overlap as the
    target, minus three times the logarithm of the overlap, plus ten to the power of its distance
    from the box's center in cells less three. Of each box the cells with the lowest cost win: as
    many as the sum of its ``topk`` best overlaps. A cell that several boxes claim goes to the one
    with the lowest cost.

    Args:
        points: ``(A, 3)`` from :func:`cell_points`.
        predicted: ``(A, 4)`` predicted boxes xyxy in input pixels.
        logits: ``(A, C)`` class logits.
        boxes: ``(M, 4)`` true boxes xyxy in input pixels.
        labels: ``(M,)`` their classes.
        topk: See above.
    """
    cells = len(points)
    chosen = torch.full((cells,), -1, dtype=torch.int64, device=points.device)
    quality = predicted.new_zeros(cells)
    if not len(boxes):
        return Assignment(chosen, quality)

    # Only cells whose point lies in some box can win.
    from_low = points[:, None, :2] - boxes[None, :, :2]
    to_high = boxes[None, :, 2:] - points[:, None, :2]
    inside = torch.cat([from_low, to_high], dim=2).amin(dim=2) > 0
    rows = inside.any(dim=1).nonzero().squeeze(1)
    if not len(rows):
        return Assignment(chosen, quality)

    # Costs of these cells for all boxes (R, M), and the cells that each box wins.
    overlap = pairwise_iou(predicted[rows], boxes)
    cost = _cost(points[rows], overlap, logits[rows], boxes, labels)
    matching = _match(cost, overlap, min(topk, len(rows)))
    taken = matching.any(dim=1)
    which = matching.float().argmax(dim=1)
    chosen[rows[taken]] = which[taken]  # the numbers of the boxes, for cells that one has won
    quality[rows[taken]] = overlap.gather(1, which[:, None]).squeeze(1)[taken]
    return Assignment(chosen, quality)


def _cost(points: Tensor, overlap: Tensor, logits: Tensor, boxes: Tensor, labels: Tensor) -> Tensor:
    # Distance from the box's center in cells of the level (A, M).
    centers = (boxes[:, :2] + boxes[:, 2:]) / 2
    distance = (points[:, None, :2] - centers[None]).square().sum(dim=2).sqrt() / points[:, 2:]
    off_center = torch.pow(10.0, distance - CENTER_RADIUS)

    # For all classes but the box's the target is 0: their part is the same for all boxes of a
    # class.
    target = functional.one_hot(labels, logits.shape[1]).float()[None] * overlap[..., None]
    predicted = logits[:, None].expand_as(target)
    loss = functional.binary_cross_entropy_with_logits(predicted, target, reduction="none")
    classes = (loss * (target - predicted.sigmoid()).square()).sum(dim=2)
    return classes - IOU_WEIGHT * torch.log(overlap + EPS) + off_center


def _match(cost: Tensor, overlap: Tensor, topk: int) -> Tensor:
    """Which cells ``(A, M)`` go to which box; each to one at most."""
    # The number of cells of each box: the sum of its best overlaps, at least one.
    counts = overlap.topk(topk, dim=0).values.sum(dim=0).int().clamp(min=1)

    # All boxes at once: of each box's cells in order of cost the first ones, as many as it has.
    max_count = int(counts.max())
    cheapest = cost.topk(max_count, dim=0, largest=False).indices
    wins = torch.arange(max_count, device=cost.device)[:, None] < counts[None]
    matching = torch.zeros_like(cost, dtype=torch.bool).scatter_(0, cheapest, wins)

    # A cell that several boxes have won goes to the one with the lowest cost.
    several = matching.sum(dim=1) > 1
    if several.any():
        matching[several] = functional.one_hot(cost[several].argmin(dim=1), cost.shape[1]).bool()
    return matching
