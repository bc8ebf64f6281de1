"""Contact sheets: labeled instances cut out, drawn and tiled, to look at before a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from rtmpose.datasets.coco_types import CocoAnnotation
from rtmpose.datasets.keypoint_dataset import KeypointDataset
from rtmpose.datasets.keypoint_guess import unknown_points
from rtmpose.draw import draw_poses
from rtmpose.errors import InputError, OutputError
from rtmpose.files import write_bytes
from rtmpose.shown_names import utf8_name
from rtmpose.sources import read_image
from rtmpose.types import Image, Poses

TILE = 240
"""Width and height of a tile in pixels, without its caption."""
CAPTION = 18
"""Height of a caption in pixels."""
MARGIN = 1.25
"""Side of the cut over the longer side of what is drawn."""
MIN_SIDE = 8.0
HIDDEN_SCORE = 0.5
DRAWN_SCORE = 0.01
"""Points with a lower score have no label."""

# Colors are BGR.
BACKGROUND = (24, 24, 24)
TEXT_COLOR = (225, 225, 225)
ISSUE_COLOR = (60, 60, 255)
# Lengths in characters: a longer caption would not fit under its tile.
MAX_CAPTION = 40
MAX_FILE_NAME = 22
JPEG_QUALITY = 88


def annotated_poses(dataset: KeypointDataset, annotations: Sequence[CocoAnnotation]) -> Poses:
    """Annotations as poses: score 1 for visible points, 0.5 for hidden ones, 0 without a label."""
    n = len(annotations)
    k = max((len(a["keypoints"]) // 3 for a in annotations), default=0)

    # All points and boxes at once, in the form that is drawn: (N, K, 3) and (N, 4) xyxy.
    skeleton = dataset.skeleton or unknown_points(max(k, 1))
    points = np.array([a["keypoints"] for a in annotations], np.float32)
    points = points.reshape(n, k or len(skeleton), 3)
    xywh = np.array([a["bbox"] for a in annotations], np.float32).reshape(-1, 4)
    boxes = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)

    # Hidden points get the lower score, which draws them thinner.
    visibility = points[..., 2]
    scores = np.zeros(visibility.shape, np.float32)
    scores[visibility > 0] = HIDDEN_SCORE
    scores[visibility >= 2] = 1.0
    return Poses(boxes, np.ones(n, np.float32), points[..., :2], scores, skeleton)


def draw_annotations(dataset: KeypointDataset, image_id: int, *, boxes: bool = True) -> Image:
    """An image of a set with its annotations drawn on it.

    Raises:
        InputError: the image cannot be read.
    """
    image = read_image(dataset.images[image_id])
    poses = annotated_poses(dataset, dataset.labeled(image_id))
    return draw_poses(image, poses, boxes=boxes, kpt_thr=DRAWN_SCORE)


def contact_sheet(
    dataset: KeypointDataset,
    instances: Sequence[tuple[int, int]] | None = None,
    *,
    count: int = 48,
    columns: int = 8,
    seed: int = 0,
    highlighted: Mapping[int, str] | None = None,
) -> Image:
    """Draw instances in tiles.

    Args:
        dataset: The set.
        instances: Image id and position among its labeled instances; None draws ``count`` by
            chance.
        count: Largest number of instances.
        columns: Tiles in a row.
        seed: Of the choice.
        highlighted: Annotation ids to show first, with a red frame, and what is wrong with each.

    Returns:
        BGR uint8; left limbs are blue and right ones orange where the set names no colors.

    Raises:
        InputError: the set has no labeled instance, or none of the images can be read.
    """
    # Instances that are shown first, then others by chance.
    highlighted = highlighted or {}
    if instances is None:
        instances = _sample(dataset, count, seed, highlighted)
    # Images that cannot be read are left out.
    tiles = []
    for image_id, position in instances[:count]:
        annotation = dataset.labeled(image_id)[position]
        try:
            image = read_image(dataset.images[image_id])
        except InputError:
            continue
        caption = f"{dataset.images[image_id].name[-MAX_FILE_NAME:]} #{annotation['id']}"
        issue = highlighted.get(annotation["id"])
        tiles.append(_tile(image, annotated_poses(dataset, [annotation]), caption, issue))
    if not tiles:
        raise InputError(f"{dataset.path} has no labeled instance in a readable image to draw")

    # Row by row; the last row may be shorter.
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    height = TILE + CAPTION
    sheet = np.full((rows * height, columns * TILE, 3), BACKGROUND, np.uint8)
    for i, tile in enumerate(tiles):
        y = i // columns * height
        x = i % columns * TILE
        sheet[y : y + height, x : x + TILE] = tile
    return sheet


def save_image(path: Path, image: Image) -> None:
    """Write an image whole or not at all.

    Raises:
        OutputError: the folder cannot be written, or the suffix is not that of an image format.
    """
    # The suffix chooses the format; quality is only JPEG's.
    options = []
    if path.suffix.lower() in (".jpg", ".jpeg"):
        options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    try:
        encoded, data = cv2.imencode(utf8_name(path.suffix), image, options)
    except cv2.error as error:
        raise OutputError(
            f"{path} does not have the suffix of an image: use .jpg or .png"
        ) from error
    if not encoded:
        raise OutputError(f"{path} could not be encoded")
    write_bytes(path, data.tobytes())


def _sample(
    dataset: KeypointDataset, count: int, seed: int, highlighted: Mapping[int, str]
) -> list[tuple[int, int]]:
    """Image id and position of instances: up to half of them highlighted, the others by chance."""
    # Up to half of the tiles for highlighted instances.
    first: list[tuple[int, int]] = []
    others: list[tuple[int, int]] = []
    for image_id in dataset.images:
        for position, annotation in enumerate(dataset.labeled(image_id)):
            is_first = annotation["id"] in highlighted
            (first if is_first else others).append((image_id, position))
    first = first[: count // 2]
    order = np.random.default_rng(seed).permutation(len(others))[: count - len(first)]
    return first + [others[i] for i in np.sort(order)]


def _tile(image: Image, poses: Poses, caption: str, issue: str | None) -> Image:
    """One instance: its box and all labeled points with a margin, scaled to fit."""
    # The square around box and points.
    box = poses.boxes[0].reshape(2, 2)
    labeled = poses.keypoints[0][poses.scores[0] > 0]
    drawn_points = np.concatenate([box, labeled])
    low = drawn_points.min(axis=0)
    high = drawn_points.max(axis=0)
    side = max(float((high - low).max()) * MARGIN, MIN_SIDE)
    scale = TILE / side
    corner = (low + high) / 2 - side / 2

    # Image and pose in pixels of the tile.
    moved = Poses(
        ((box - corner) * scale).reshape(1, 4).astype(np.float32),
        poses.box_scores,
        ((poses.keypoints - corner) * scale).astype(np.float32),
        poses.scores,
        poses.skeleton,
    )
    tile = np.full((TILE + CAPTION, TILE, 3), BACKGROUND, np.uint8)
    tile[:TILE] = draw_poses(_cut(image, corner, scale), moved, boxes=True, kpt_thr=DRAWN_SCORE)

    # The frame and the caption.
    if issue is not None:
        cv2.rectangle(tile, (1, 1), (TILE - 2, TILE - 2), ISSUE_COLOR, 2)
        caption = f"{issue}: {caption}"
    # The caption stands below the image.
    place = (3, TILE + 13)
    font = cv2.FONT_HERSHEY_SIMPLEX
    text = utf8_name(caption)[:MAX_CAPTION]
    cv2.putText(tile, text, place, font, 0.36, TEXT_COLOR, 1, cv2.LINE_AA)
    return tile


def _cut(image: Image, corner: NDArray[np.floating], scale: float) -> Image:
    """The square of an image from ``corner`` on, as a tile; pixels outside are dark."""
    if scale < 1:
        # warpAffine does not average over areas: shrink first, then cut.
        method = cv2.INTER_AREA
        image = np.asarray(
            cv2.resize(image, None, fx=scale, fy=scale, interpolation=method), np.uint8
        )
        zoom = 1.0
    else:
        zoom = scale
    # From image pixels to those of the tile.
    offset_x, offset_y = -corner * scale
    matrix = np.array([[zoom, 0, offset_x], [0, zoom, offset_y]])
    cut = cv2.warpAffine(
        image, matrix, (TILE, TILE), flags=cv2.INTER_LINEAR, borderValue=BACKGROUND
    )
    return np.asarray(cut, np.uint8)
