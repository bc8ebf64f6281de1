"""Draw skeletons so that they read well from 240p to 4K: sizes follow the person, not the picture."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from rtmpose.errors import InputError
from rtmpose.types import Detections, FloatArray, Image, Poses, check_image

SHIFT = 3
"""Fractional bits of the coordinates: lines are placed to an eighth of a pixel."""
FARTHEST = 20_000
"""Coordinates are cut here, in pixels: OpenCV's fixed-point lines overflow far outside the picture."""
OUTLINE = (32, 32, 32)


def draw_poses(
    image: Image,
    poses: Poses,
    *,
    kpt_thr: float = 0.3,
    boxes: bool = False,
    scores: bool = False,
    background: str = "image",
    thickness: float | None = None,
) -> Image:
    """Draw poses on a copy of the image.

    Args:
        image: BGR uint8 ``(H, W, 3)``.
        poses: Keypoints in pixels of that image.
        kpt_thr: Keypoints scoring less, and limbs that end in one, are not drawn.
        boxes: Draw the boxes too.
        scores: Write each person's score at the box.
        background: ``image`` or ``black``.
        thickness: Width of limbs in pixels; by default a hundredth of the person's size, within
            limits.

    Returns:
        A new image of the same size.

    Raises:
        InputError: the image or the background is not usable.
    """
    check_image(image)
    if background not in ("image", "black"):
        raise InputError(f"background must be image or black, not {background!r}")
    canvas = np.zeros_like(image) if background == "black" else image.copy()
    sizes = [_person_size(poses, i, kpt_thr) for i in range(len(poses))]
    # Large people first: they are near, but the small ones would vanish below them.
    for i in np.argsort(sizes, kind="stable")[::-1]:
        width = thickness or float(np.clip(sizes[i] / 70, 1.0, 24.0))
        seen = (poses.scores[i] >= kpt_thr) & np.isfinite(poses.keypoints[i]).all(axis=1)
        _draw_person(canvas, poses, int(i), seen, width)
        if boxes or scores:
            label = f"{poses.instance_scores[i]:.2f}" if scores else ""
            _draw_box(canvas, poses.boxes[i], label, boxes, max(1.0, width * 0.6))
    return canvas


def draw_detections(image: Image, detections: Detections, *, scores: bool = True) -> Image:
    """Draw boxes, with their scores, on a copy of the image."""
    canvas = check_image(image).copy()
    for box, score in zip(detections.boxes, detections.scores, strict=True):
        size = float(np.clip((box[2:] - box[:2]).max() / 120, 1.0, 12.0))
        _draw_box(canvas, box, f"{score:.2f}" if scores else "", True, size)
    return canvas


def draw_ids(canvas: Image, poses: Poses) -> None:
    """Write each tracked person's id above the head, in the picture itself; each id has a color of
    its own.
    """
    if poses.ids is None:
        return
    for number, box in zip(poses.ids.tolist(), poses.boxes, strict=True):
        scale = float(np.clip((box[3] - box[1]) / 300, 0.5, 3.0))
        text, line = str(number), max(1, round(scale * 2))
        (text_w, text_h), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, line)
        x = int(np.clip((box[0] + box[2] - text_w) / 2, 0, max(0, canvas.shape[1] - text_w)))
        y = int(np.clip(box[1] - 4, text_h + 2, canvas.shape[0] - 2))
        cv2.putText(
            canvas, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, OUTLINE, line + 3, cv2.LINE_AA
        )
        cv2.putText(
            canvas,
            text,
            (x, y),
            cv2.FONT_HERSHEY_SIMPLEX,
            scale,
            id_color(number),
            line,
            cv2.LINE_AA,
        )


def draw_trails(canvas: Image, trails: Mapping[int, Sequence[tuple[float, float]]]) -> None:
    """Draw where people came from, in the picture itself: id to places, the latest last."""
    width = max(1, round(max(canvas.shape[:2]) / 500))
    for number, places in trails.items():
        points = _fixed(np.array(places, np.float32).reshape(-1, 2))
        for a, b in itertools.pairwise(points):
            cv2.line(canvas, a, b, id_color(number), width, cv2.LINE_AA, SHIFT)


def id_color(number: int) -> tuple[int, int, int]:
    """A bright BGR color for an id; neighbors differ."""
    hue = int(number * 180 * 0.618034) % 180
    b, g, r = cv2.cvtColor(np.array([[[hue, 150, 255]]], np.uint8), cv2.COLOR_HSV2BGR)[0, 0]
    return int(b), int(g), int(r)


def _draw_person(
    canvas: Image, poses: Poses, i: int, seen: NDArray[np.bool_], width: float
) -> None:
    points = _fixed(poses.keypoints[i])
    skeleton = poses.skeleton
    links = [
        (points[a], points[b], color, line)
        for (a, b), color, line in zip(
            skeleton.links, skeleton.link_colors, _link_widths(poses, i, width), strict=True
        )
        if seen[a] and seen[b]
    ]
    # All outlines lie below all colors, so that they part a person from the background and not limb
    # from limb.
    for a, b, _, line in links:
        cv2.line(canvas, a, b, OUTLINE, round(line + max(2.0, line * 0.5)), cv2.LINE_AA, SHIFT)
    for a, b, color, line in links:
        cv2.line(canvas, a, b, color, max(1, round(line)), cv2.LINE_AA, SHIFT)
    radii = _point_radii(poses, width)
    unit = 1 << SHIFT
    for k in np.flatnonzero(seen).tolist():
        radius = radii[k]
        cv2.circle(
            canvas,
            points[k],
            round((radius + max(0.7, radius * 0.3)) * unit),
            OUTLINE,
            -1,
            cv2.LINE_AA,
            SHIFT,
        )
        cv2.circle(
            canvas,
            points[k],
            round(radius * unit),
            skeleton.keypoint_colors[k],
            -1,
            cv2.LINE_AA,
            SHIFT,
        )


def _link_widths(poses: Poses, i: int, width: float) -> list[float]:
    """Short links (fingers, face) are drawn thinner than a fifth of their length."""
    ends = np.asarray(poses.skeleton.links, np.int64).reshape(-1, 2)
    points = np.nan_to_num(poses.keypoints[i], posinf=FARTHEST, neginf=-FARTHEST)
    lengths = np.linalg.norm(points[ends[:, 0]] - points[ends[:, 1]], axis=1)
    widths: list[float] = np.clip(lengths / 5, 1.0, width).tolist()
    return widths


def _point_radii(poses: Poses, width: float) -> list[float]:
    """Dense sets (face, hands) get small dots: the first 23 or 26 points of a person are the body."""
    k = len(poses.skeleton)
    body = 0 if k in (21, 68, 106) else 23 if k > 100 else k
    return [width * (0.85 if j < body else 0.45) + 0.3 for j in range(k)]


def _draw_box(canvas: Image, box: FloatArray, label: str, frame: bool, width: float) -> None:
    (x1, y1), (x2, y2) = _fixed(box.reshape(2, 2))
    if frame:
        cv2.rectangle(canvas, (x1, y1), (x2, y2), OUTLINE, round(width + 2), cv2.LINE_AA, SHIFT)
        cv2.rectangle(
            canvas, (x1, y1), (x2, y2), (240, 240, 240), max(1, round(width)), cv2.LINE_AA, SHIFT
        )
    if label:
        scale = float(np.clip((box[3] - box[1]) / 500, 0.4, 3.0))
        (text_w, text_h), base = cv2.getTextSize(
            label, cv2.FONT_HERSHEY_SIMPLEX, scale, max(1, round(scale * 1.5))
        )
        x = int(np.clip(box[0], 0, max(0, canvas.shape[1] - text_w)))
        y = int(np.clip(box[1] - base, text_h, max(text_h, canvas.shape[0] - base)))
        for color, line in (
            (OUTLINE, round(scale * 1.5) + 3),
            ((255, 255, 255), max(1, round(scale * 1.5))),
        ):
            cv2.putText(
                canvas, label, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, color, line, cv2.LINE_AA
            )


def _person_size(poses: Poses, i: int, kpt_thr: float) -> float:
    """The longer side of what is drawn of a person, or of the box where that is smaller, in pixels."""
    box = poses.boxes[i]
    side = float((box[2:] - box[:2]).max())
    points = poses.keypoints[i][
        (poses.scores[i] >= kpt_thr) & np.isfinite(poses.keypoints[i]).all(axis=1)
    ]
    return min(side, float(np.ptp(points, axis=0).max()) * 1.3) if len(points) > 1 else side


def _fixed(points: FloatArray) -> list[tuple[int, int]]:
    clipped = np.clip(np.nan_to_num(points), -FARTHEST, FARTHEST)
    return [(x, y) for x, y in np.rint(clipped * (1 << SHIFT)).astype(np.int64).tolist()]
