"""Poses as the service's JSON, and as pictures."""

from __future__ import annotations

import math
from typing import Any

import cv2

from rtmpose.draw import DrawStyle, draw_frame
from rtmpose.serve.faults import too_large, unusable
from rtmpose.types import Image, Poses, Skeleton

JPEG_QUALITY = 92
LARGEST_JPEG = 65_535
"""Pixels of a side."""

Json = dict[str, Any]


def skeleton_json(skeleton: Skeleton) -> Json:
    """A keypoint set with all that is needed to draw it; links are pairs of indices from 0, colors
    ``#rrggbb``.
    """
    return {
        "name": skeleton.name,
        "keypoints": list(skeleton.keypoints),
        "links": [list(link) for link in skeleton.links],
        "flip_indices": list(skeleton.flip_indices),
        "sides": list(skeleton.sides),
        "keypoint_colors": [_hex(color) for color in skeleton.keypoint_colors],
        "link_colors": [_hex(color) for color in skeleton.link_colors],
        "sigmas": list(skeleton.sigmas),
    }


def category_json(skeleton: Skeleton) -> Json:
    """The category of a COCO file: ``skeleton`` has the links, counted from 1 as COCO does."""
    return {
        "id": 1,
        "name": "person",
        "supercategory": "person",
        "keypoints": list(skeleton.keypoints),
        "skeleton": [list(link) for link in skeleton.links_from_1],
    }


def annotations_json(poses: Poses, image_id: int, first_id: int, kpt_thr: float) -> list[Json]:
    """The people of an image as COCO annotations; ``keypoints`` are x, y, score.

    Args:
        poses: The people.
        image_id: Of the image they are in.
        first_id: Of the first annotation.
        kpt_thr: Score from which a keypoint counts in ``num_keypoints``.
    """
    people = []
    for i, person in enumerate(poses.to_coco(image_id)):
        width, height = person["bbox"][2:]
        seen = int((poses.scores[i] >= kpt_thr).sum())
        extra = {"area": round(width * height, 2), "iscrowd": 0, "num_keypoints": seen}
        people.append({"id": first_id + i, **person, **extra})
    return people


def people_json(poses: Poses) -> list[Json]:
    """The people of a frame of a stream: ``id``, ``bbox`` (x, y, width, height), ``score``,
    ``box_score`` and ``keypoints``, a row of x, y, score for each.
    """
    people = []
    for i, person in enumerate(poses.to_coco()):
        flat = person["keypoints"]
        people.append(
            {
                "id": None if poses.ids is None else int(poses.ids[i]),
                "bbox": person["bbox"],
                "score": person["score"],
                "box_score": person["box_score"],
                "keypoints": [flat[at : at + 3] for at in range(0, len(flat), 3)],
            }
        )
    return people


def drawn(image: Image, poses: Poses, style: DrawStyle, media_type: str) -> bytes:
    """The picture with the people drawn on it.

    Args:
        image: BGR uint8 ``(H, W, 3)``.
        poses: Its people.
        style: What is drawn.
        media_type: ``image/jpeg`` or ``image/png``.

    Raises:
        ServiceError: a JPEG cannot be of that size.
    """
    canvas = draw_frame(image, poses, style, {})
    if media_type == "image/png":
        return cv2.imencode(".png", canvas)[1].tobytes()
    if max(canvas.shape[:2]) > LARGEST_JPEG:
        raise unusable(f"a JPEG has at most {LARGEST_JPEG} pixels a side; ask for image/png")
    return cv2.imencode(".jpg", canvas, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()


def check_drawn_size(image: Image, style: DrawStyle, max_pixels: int) -> None:
    """Refuse a picture that would be larger than an image may be.

    Raises:
        ServiceError: it has more pixels (413).
    """
    height, width = image.shape[:2]
    scale = 1.0 if style.output_size is None else style.output_size / max(height, width)
    if height * width * scale**2 > max(max_pixels, height * width):
        raise too_large(f"the picture would have more than {max_pixels} pixels: see output_size")


def milliseconds(seconds: float) -> float:
    """For JSON: milliseconds to a hundredth."""
    return round(seconds * 1000, 2) if math.isfinite(seconds) else 0.0


def _hex(bgr: tuple[int, int, int]) -> str:
    blue, green, red = bgr
    return f"#{red:02x}{green:02x}{blue:02x}"
