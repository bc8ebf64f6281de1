"""Draw skeletons so that they read well from 240p to 4K: sizes follow the person, not the image."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from rtmpose.errors import InputError
from rtmpose.keywords import checked_keywords
from rtmpose.ranges import (
    IMAGE_SIDE,
    KEYPOINT_SCORE,
    LINE_WIDTH,
    TRAIL,
    check_choice,
    check_fields,
    check_flags,
    check_number,
)
from rtmpose.types import Detections, FloatArray, Image, Poses, check_image

SHIFT = 3
"""Fractional bits of the coordinates: lines are placed to an eighth of a pixel."""
FARTHEST = 20_000
"""Coordinates are clipped to this, in pixels: OpenCV's fixed-point lines overflow far outside."""
OUTLINE = (32, 32, 32)
BACKGROUNDS = ("image", "black")
FONT = cv2.FONT_HERSHEY_SIMPLEX
COLORS = ("side", "person", "id")
"""What colors tell: left and right, one person from another, or the track id."""

CORNERS = 24
"""Of the polygon that a point is drawn as: OpenCV's own small circles have four."""
_ANGLES = np.arange(CORNERS) * 2 * np.pi / CORNERS
CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1).astype(np.float32)

SMALL_FACE = 12.0
"""Faces that span fewer pixels are drawn without links and with the nose only: the rest would be a
blot.
"""

FACE_NAMES = ("nose", "left_eye", "right_eye", "left_ear", "right_ear", "face")

Trails = dict[int, deque[tuple[float, float]]]
"""Track id to the last points on the ground, the newest last."""


# ---- what is drawn


@dataclass(frozen=True)
class DrawStyle:
    """How frames are drawn by :func:`draw_frame`.

    Attributes:
        kpt_thr: Lowest keypoint score drawn.
        background: ``image`` or ``black``.
        draw_skeleton: Draw keypoints and limbs.
        draw_boxes: Draw the boxes of the people.
        draw_scores: Write each person's score.
        draw_ids: Write the track ids, where there are any.
        color: ``side`` for the keypoint set's colors, which tell left from right; ``person`` for a
            color per person of a frame; ``id`` for the color of the track id, which is that of the
            id's label (people without id get that of their position).
        trail: Number of frames over which the path of a tracked person is drawn; 0 for none.
        output_size: Long edge of the drawn image in pixels; None keeps the frame's size.

    Raises:
        InputError: a value is out of its range.
    """

    kpt_thr: float = 0.3
    background: str = "image"
    draw_skeleton: bool = True
    draw_boxes: bool = False
    draw_scores: bool = False
    draw_ids: bool = True
    color: str = "side"
    trail: int = 0
    output_size: int | None = None

    def __post_init__(self) -> None:
        check_fields(self, kpt_thr=KEYPOINT_SCORE, trail=TRAIL, output_size=IMAGE_SIDE.optional())
        check_flags(self, "draw_skeleton", "draw_boxes", "draw_scores", "draw_ids")
        check_choice("background", self.background, BACKGROUNDS)
        check_choice("color", self.color, COLORS)


# ---- onto whole frames


def draw_frame(image: Image, poses: Poses, style: DrawStyle, trails: Trails) -> Image:
    """A copy of a frame with everything drawn on it that the style asks for.

    Args:
        image: BGR uint8 ``(H, W, 3)``.
        poses: Keypoints in pixels of that image.
        style: What is drawn.
        trails: Memory of one video, updated here; start with an empty dict.

    Raises:
        InputError: the image or the background is not usable.
    """
    canvas = draw_poses(
        image,
        poses,
        kpt_thr=style.kpt_thr,
        boxes=style.draw_boxes,
        scores=style.draw_scores,
        background=style.background,
        skeleton=style.draw_skeleton,
        color=style.color,
    )

    # Trails lie above the people, ids above the trails.
    if style.trail and poses.ids is not None:
        _update_trails(trails, poses, style.trail)
        draw_trails(canvas, trails)
    if style.draw_ids:
        draw_ids(canvas, poses)
    return canvas if style.output_size is None else _scaled(canvas, style.output_size)


@checked_keywords
def draw_poses(
    image: Image,
    poses: Poses,
    *,
    kpt_thr: float = 0.3,
    boxes: bool = False,
    scores: bool = False,
    background: str = "image",
    thickness: float | None = None,
    skeleton: bool = True,
    color: str = "side",
) -> Image:
    """Draw poses on a copy of the image.

    Args:
        image: BGR uint8 ``(H, W, 3)``.
        poses: Keypoints in pixels of that image.
        kpt_thr: Keypoints scoring less, and limbs that end in one, are not drawn.
        boxes: Draw the boxes too.
        scores: Write each person's score at the box.
        background: ``image`` or ``black``.
        thickness: Width of limbs in pixels; by default a seventieth of the person's size, within
            limits.
        skeleton: Draw keypoints and limbs; False leaves only boxes and scores.
        color: ``side``, ``person`` or ``id``; see :class:`DrawStyle`.

    Returns:
        A new image of the same size.

    Raises:
        InputError: the image, the poses or the background are not usable.
    """
    check_image(image)
    if not isinstance(poses, Poses):
        raise InputError(f"poses must be rtmpose.Poses of one image, not {type(poses).__name__}")
    check_choice("background", background, BACKGROUNDS)
    check_choice("color", color, COLORS)
    check_number("kpt_thr", kpt_thr, KEYPOINT_SCORE)
    if thickness is not None:
        check_number("thickness", thickness, LINE_WIDTH)
    canvas = np.zeros_like(image) if background == "black" else image.copy()
    sizes = [_person_size(poses, i, kpt_thr) for i in range(len(poses))]  # pixels

    # Large people first: they are near, but the small ones would vanish below them.
    for i in np.argsort(sizes, kind="stable")[::-1]:
        # Widths follow the person: about a seventieth of their size.
        width = thickness or float(np.clip(sizes[i] / 70, 1.0, 24.0))
        if skeleton:
            one_color = None if color == "side" else person_color(poses, int(i), color)
            seen = _drawable(poses, int(i), kpt_thr)
            _draw_person(canvas, poses, int(i), seen, width, one_color)
        if boxes or scores:
            label = f"{poses.instance_scores[i]:.2f}" if scores else ""
            _draw_box(canvas, poses.boxes[i], label, boxes, max(1.0, width * 0.6))
    return canvas


def draw_detections(image: Image, detections: Detections, *, scores: bool = True) -> Image:
    """Draw boxes, with their scores, on a copy of the image."""
    canvas = check_image(image).copy()
    for box, score in zip(detections.boxes, detections.scores, strict=True):
        # Likewise, for boxes.
        size = float(np.clip((box[2:] - box[:2]).max() / 120, 1.0, 12.0))
        _draw_box(canvas, box, f"{score:.2f}" if scores else "", True, size)
    return canvas


def draw_ids(canvas: Image, poses: Poses) -> None:
    """Write each tracked person's id above the head, into the image itself, on a label of the id's
    color.
    """
    if poses.ids is None:
        return
    # Readable where the whole image fills a screen, however small the person.
    smallest = float(np.clip(max(canvas.shape[:2]) / 2000, 0.4, 2.0))
    for number, box in zip(poses.ids.tolist(), poses.boxes, strict=True):
        scale = float(np.clip((box[3] - box[1]) / 500, smallest, 2 * smallest))
        _draw_label(canvas, str(number), box, scale, id_color(number))


def draw_trails(canvas: Image, trails: Mapping[int, Sequence[tuple[float, float]]]) -> None:
    """Draw the paths of people into the image itself.

    Args:
        canvas: BGR uint8 ``(H, W, 3)``; drawn on.
        trails: Track id to points in pixels, the newest last.
    """
    # Thin in small images, visible in large ones.
    width = max(1, round(max(canvas.shape[:2]) / 500))
    for number, places in trails.items():
        points = _fixed(np.array(places, np.float32).reshape(-1, 2))
        for a, b in itertools.pairwise(points):
            cv2.line(canvas, a, b, id_color(number), width, cv2.LINE_AA, SHIFT)


def id_color(number: int) -> tuple[int, int, int]:
    """A bright BGR color for an id; neighbors differ."""
    # Multiples of the golden ratio spread hues evenly, whatever the number of ids.
    hue = int(number * 180 * 0.618034) % 180
    b, g, r = cv2.cvtColor(np.array([[[hue, 150, 255]]], np.uint8), cv2.COLOR_HSV2BGR)[0, 0]
    return int(b), int(g), int(r)


def person_color(poses: Poses, i: int, color: str) -> tuple[int, int, int]:
    """The one color of a person, by position in the frame or by track id."""
    by_id = color == "id" and poses.ids is not None
    return id_color(int(poses.ids[i]) if by_id and poses.ids is not None else i)


# ---- one person


def _draw_person(
    canvas: Image,
    poses: Poses,
    i: int,
    seen: NDArray[np.bool_],
    width: float,
    one_color: tuple[int, int, int] | None,
) -> None:
    skeleton = poses.skeleton
    # Of a small face only the nose stays.
    seen = seen & ~_crowded_face(poses, i, seen)

    # In eighths of a pixel; only limbs with both ends seen.
    points = _fixed(poses.keypoints[i])
    links = [
        (points[a], points[b], one_color or color, line)
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

    # Points cover the ends of the limbs.
    shown = np.flatnonzero(seen)
    centers = np.clip(poses.keypoints[i][shown], -FARTHEST, FARTHEST)
    radii = np.array(_point_radii(poses, width), np.float32)[shown]
    inner = _circles(centers, radii)
    outer = _circles(centers, radii + np.maximum(0.7, radii * 0.3))
    for k, outside, inside in zip(shown.tolist(), outer, inner, strict=True):
        color = one_color or skeleton.keypoint_colors[k]
        cv2.fillConvexPoly(canvas, outside, OUTLINE, cv2.LINE_AA, SHIFT)
        cv2.fillConvexPoly(canvas, inside, color, cv2.LINE_AA, SHIFT)


def _circles(centers: FloatArray, radii: FloatArray) -> NDArray[np.int32]:
    """Circles as polygons ``(N, CORNERS, 2)`` in eighths of a pixel."""
    corners = centers[:, None] + radii[:, None, None] * CIRCLE
    return np.rint(corners * (1 << SHIFT)).astype(np.int32)


def _crowded_face(poses: Poses, i: int, seen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """``(K,)`` which keypoints of a face are left out as they would run into each other."""
    names = poses.skeleton.keypoints
    # Only people whose body is drawn too: a set of face points is all there is to see.
    if "left_shoulder" not in names:
        return np.zeros(len(names), bool)
    in_face = np.array([name.startswith(FACE_NAMES) for name in names]) & seen
    points = poses.keypoints[i][in_face]
    if len(points) < 2 or float(np.ptp(points, axis=0).max()) >= SMALL_FACE:
        return np.zeros(len(names), bool)
    in_face[names.index("nose") if "nose" in names else 0] = False
    return in_face


def _link_widths(poses: Poses, i: int, width: float) -> list[float]:
    """Short links (fingers, face) are drawn thinner than a fifth of their length."""
    ends = np.asarray(poses.skeleton.links, np.int64).reshape(-1, 2)
    points = np.nan_to_num(poses.keypoints[i], posinf=FARTHEST, neginf=-FARTHEST)
    lengths = np.linalg.norm(points[ends[:, 0]] - points[ends[:, 1]], axis=1)
    widths: list[float] = np.clip(lengths / 5, 1.0, width).tolist()
    return widths


def _point_radii(poses: Poses, width: float) -> list[float]:
    """Dense sets (face, hands) get small dots; a person's first 23 or 26 points are the body."""
    k = len(poses.skeleton)
    # Hands (21) and faces (68, 106) have no body points; whole-body sets (133) have 23.
    is_part = k in (21, 68, 106) and "left_shoulder" not in poses.skeleton.keypoints
    body = 0 if is_part else 23 if k > 100 else k
    return [width * (0.85 if j < body else 0.45) + 0.3 for j in range(k)]


def _draw_label(
    canvas: Image, text: str, box: FloatArray, scale: float, color: tuple[int, int, int]
) -> None:
    """A filled label with text above a box, but inside the image."""
    line = max(1, round(scale * 2))
    (text_w, text_h), _ = cv2.getTextSize(text, FONT, scale, line)
    pad = max(2, round(text_h * 0.35))
    width, height = text_w + 2 * pad, text_h + 2 * pad
    x = int(np.clip((box[0] + box[2] - width) / 2, 0, max(0, canvas.shape[1] - width)))
    y = int(np.clip(box[1] - height - 2, 0, max(0, canvas.shape[0] - height)))

    # Dark text: the colors of ids are bright.
    cv2.rectangle(canvas, (x, y), (x + width, y + height), color, -1, cv2.LINE_AA)
    cv2.rectangle(canvas, (x, y), (x + width, y + height), OUTLINE, 1, cv2.LINE_AA)
    base = (x + pad, y + pad + text_h)
    cv2.putText(canvas, text, base, FONT, scale, OUTLINE, line, cv2.LINE_AA)


def _draw_box(canvas: Image, box: FloatArray, label: str, outline: bool, width: float) -> None:
    """Draw a box, its label, or both, into the image itself."""
    (x1, y1), (x2, y2) = _fixed(box.reshape(2, 2))
    # A dark line below a bright one reads on any background.
    if outline:
        cv2.rectangle(canvas, (x1, y1), (x2, y2), OUTLINE, round(width + 2), cv2.LINE_AA, SHIFT)
        cv2.rectangle(
            canvas, (x1, y1), (x2, y2), (240, 240, 240), max(1, round(width)), cv2.LINE_AA, SHIFT
        )
    if label:
        scale = float(np.clip((box[3] - box[1]) / 500, 0.4, 3.0))
        line = max(1, round(scale * 1.5))
        (text_w, text_h), base = cv2.getTextSize(label, FONT, scale, line)

        # Inside the image, wherever the box lies.
        x = int(np.clip(box[0], 0, max(0, canvas.shape[1] - text_w)))
        y = int(np.clip(box[1] - base, text_h, max(text_h, canvas.shape[0] - base)))
        outline_width = round(scale * 1.5) + 3
        cv2.putText(canvas, label, (x, y), FONT, scale, OUTLINE, outline_width, cv2.LINE_AA)
        cv2.putText(canvas, label, (x, y), FONT, scale, (255, 255, 255), line, cv2.LINE_AA)


def _drawable(poses: Poses, i: int, kpt_thr: float) -> NDArray[np.bool_]:
    """Which keypoints of person ``i`` are drawn."""
    return (poses.scores[i] >= kpt_thr) & np.isfinite(poses.keypoints[i]).all(axis=1)


# ---- trails and sizes


def _update_trails(trails: Trails, poses: Poses, length: int) -> None:
    """Add the middle of each box's lower edge; the trails of absent people shrink and end."""
    assert poses.ids is not None
    for number, box in zip(poses.ids.tolist(), poses.boxes, strict=True):
        points = trails.setdefault(number, deque(maxlen=length))
        points.append((float(box[0] + box[2]) / 2, float(box[3])))
    for number in set(trails) - set(poses.ids.tolist()):
        trails[number].popleft()
        if not trails[number]:
            del trails[number]


def _scaled(image: Image, long_edge: int) -> Image:
    height, width = image.shape[:2]
    # Averaging shrinks without aliasing; enlarging interpolates.
    factor = long_edge / max(height, width)
    if factor == 1:
        return image
    size_wh = (max(2, round(width * factor)), max(2, round(height * factor)))
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size_wh, interpolation=method), np.uint8)


def _person_size(poses: Poses, i: int, kpt_thr: float) -> float:
    """The longer side of what is drawn of a person, or of the box if that is smaller, in pixels."""
    box = poses.boxes[i]
    side = float((box[2:] - box[:2]).max())
    # What is seen of somebody cut off may be far smaller than their box.
    points = poses.keypoints[i][_drawable(poses, i, kpt_thr)]
    return min(side, float(np.ptp(points, axis=0).max()) * 1.3) if len(points) > 1 else side


def _fixed(points: FloatArray) -> list[tuple[int, int]]:
    # NaN would become an arbitrary integer.
    clipped = np.clip(np.nan_to_num(points), -FARTHEST, FARTHEST)
    return [(x, y) for x, y in np.rint(clipped * (1 << SHIFT)).astype(np.int64).tolist()]
