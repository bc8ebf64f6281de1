"""Contact sheets: labeled instances cut out, drawn and put side by side, to look at before a
training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from rtmpose.datasets.keypoint_dataset import KeypointDataset
from rtmpose.draw import draw_poses
from rtmpose.errors import InputError, OutputError
from rtmpose.files import write_bytes
from rtmpose.skeletons import generic_skeleton
from rtmpose.sources import read_image
from rtmpose.types import FloatArray, Image, Poses

TILE, CAPTION = 240, 18
MARGIN = 1.25
HIDDEN_SCORE = 0.5


def annotated_poses(dataset: KeypointDataset, rows: Sequence[Mapping[str, Any]]) -> Poses:
    """Annotations as poses: score 1 for visible points, 0.5 for hidden ones, 0 without a label."""
    k = max((len(a["keypoints"]) // 3 for a in rows), default=0)
    skeleton = dataset.skeleton or generic_skeleton(max(k, 1))
    points = np.array([a["keypoints"] for a in rows], np.float32).reshape(len(rows), -1, 3)
    xywh = np.array([a["bbox"] for a in rows], np.float32).reshape(-1, 4)
    boxes = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)
    scores = np.where(
        points[..., 2] >= 2, 1.0, np.where(points[..., 2] > 0, HIDDEN_SCORE, 0.0)
    ).astype(np.float32)
    return Poses(boxes, np.ones(len(rows), np.float32), points[..., :2], scores, skeleton)


def draw_annotated(dataset: KeypointDataset, image_id: int, *, boxes: bool = True) -> Image:
    """A picture of a set with its annotations drawn on it.

    Raises:
        InputError: the picture cannot be read.
    """
    image = read_image(dataset.images[image_id])
    return draw_poses(
        image, annotated_poses(dataset, dataset.labeled(image_id)), boxes=boxes, kpt_thr=0.01
    )


def contact_sheet(
    dataset: KeypointDataset,
    chosen: Sequence[tuple[int, int]] | None = None,
    *,
    count: int = 48,
    columns: int = 8,
    seed: int = 0,
    marked: Mapping[int, str] | None = None,
) -> Image:
    """Draw instances side by side.

    Args:
        dataset: The set.
        chosen: Image id and position among its labeled instances; None draws ``count`` by chance.
        count: How many at most.
        columns: Tiles in a row.
        seed: Of the choice.
        marked: Annotation ids to show first, with a red frame, and what is wrong with each.

    Returns:
        BGR uint8; left limbs are blue and right ones orange where the set names no colors.

    Raises:
        InputError: the set has no labeled instance, or none of the pictures can be read.
    """
    marked = marked or {}
    if chosen is None:
        chosen = _choose(dataset, count, seed, marked)
    tiles = []
    for image_id, position in chosen[:count]:
        a = dataset.labeled(image_id)[position]
        try:
            image = read_image(dataset.images[image_id])
        except InputError:
            continue
        tiles.append(
            _tile(
                image,
                annotated_poses(dataset, [a]),
                _caption(dataset, image_id, a),
                marked.get(a["id"]),
            )
        )
    if not tiles:
        raise InputError(f"{dataset.path} has no labeled instance in a readable picture to draw")
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    sheet = np.full((rows * (TILE + CAPTION), columns * TILE, 3), 24, np.uint8)
    for i, tile in enumerate(tiles):
        y, x = i // columns * (TILE + CAPTION), i % columns * TILE
        sheet[y : y + TILE + CAPTION, x : x + TILE] = tile
    return sheet


def save_picture(path: Path, image: Image) -> None:
    """Write a picture whole or not at all.

    Raises:
        OutputError: the folder cannot be written, or the ending is not that of a picture format.
    """
    options = [cv2.IMWRITE_JPEG_QUALITY, 88] if path.suffix.lower() in (".jpg", ".jpeg") else []
    try:
        good, data = cv2.imencode(path.suffix, image, options)
    except cv2.error as error:
        raise OutputError(f"{path} does not end like a picture: use .jpg or .png") from error
    if not good:
        raise OutputError(f"{path} could not be encoded")
    write_bytes(path, data.tobytes())


def _choose(
    dataset: KeypointDataset, count: int, seed: int, marked: Mapping[int, str]
) -> list[tuple[int, int]]:
    everything = [(i, p, a["id"]) for i in dataset.images for p, a in enumerate(dataset.labeled(i))]
    first = [(i, p) for i, p, number in everything if number in marked][: count // 2]
    rest = [(i, p) for i, p, number in everything if number not in marked]
    order = np.random.default_rng(seed).permutation(len(rest))[: count - len(first)]
    return first + [rest[j] for j in np.sort(order)]


def _caption(dataset: KeypointDataset, image_id: int, a: Mapping[str, Any]) -> str:
    return f"{dataset.images[image_id].name[-22:]} #{a['id']}"


def _tile(image: Image, poses: Poses, caption: str, fault: str | None) -> Image:
    """One instance: its box and all labeled points with a margin, scaled to fit."""
    box = poses.boxes[0]
    seen = poses.keypoints[0][poses.scores[0] > 0]
    around = np.concatenate([box.reshape(2, 2), seen])
    low, high = around.min(axis=0), around.max(axis=0)
    side = max(float((high - low).max()) * MARGIN, 8.0)
    scale = TILE / side
    corner = (low + high) / 2 - side / 2
    matrix = np.array([[scale, 0, -corner[0] * scale], [0, scale, -corner[1] * scale]])
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    cut = _cut(image, corner, side, matrix, method)
    moved = Poses(
        ((poses.boxes.reshape(2, 2) - corner) * scale).reshape(1, 4).astype(np.float32),
        poses.box_scores,
        ((poses.keypoints - corner) * scale).astype(np.float32),
        poses.scores,
        poses.skeleton,
    )
    drawn = draw_poses(cut, moved, boxes=True, kpt_thr=0.01)
    tile = np.full((TILE + CAPTION, TILE, 3), 24, np.uint8)
    tile[:TILE] = drawn
    if fault is not None:
        cv2.rectangle(tile, (1, 1), (TILE - 2, TILE - 2), (60, 60, 255), 2)
        caption = f"{fault}: {caption}"
    cv2.putText(
        tile,
        caption[:40],
        (3, TILE + 13),
        cv2.FONT_HERSHEY_SIMPLEX,
        0.36,
        (225, 225, 225),
        1,
        cv2.LINE_AA,
    )
    return tile


def _cut(image: Image, corner: FloatArray, side: float, matrix: Any, method: int) -> Image:
    """The square of an image from ``corner`` on, as a tile; pixels outside are dark."""
    if method == cv2.INTER_AREA:
        # warpAffine does not average over areas: shrink first, then cut.
        scale = TILE / side
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        matrix = np.array([[1, 0, -corner[0] * scale], [0, 1, -corner[1] * scale]])
        image = np.asarray(small, np.uint8)
    cut = cv2.warpAffine(
        image, matrix, (TILE, TILE), flags=cv2.INTER_LINEAR, borderValue=(24, 24, 24)
    )
    return np.asarray(cut, np.uint8)
