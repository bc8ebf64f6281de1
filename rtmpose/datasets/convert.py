"""Convert a data set to another keypoint set.

What a set does not label stays without a label (v = 0) in the result, so that a training leaves it
out.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

from rtmpose.datasets.annotation_repair import BOX_TO_AREA, box_around, count_labeled
from rtmpose.datasets.category_skeletons import category_of, sigmas_by_name
from rtmpose.datasets.coco_types import CocoAnnotation, Json, JsonObject
from rtmpose.datasets.conversion_table import (
    ALIASES,
    Conversion,
    IndexPairs,
    SourcePoint,
    conversion_by_name,
    conversions,
)
from rtmpose.datasets.keypoint_dataset import KeypointDataset
from rtmpose.datasets.keypoint_guess import are_unnamed
from rtmpose.errors import InputError
from rtmpose.skeletons import get_skeleton, skeleton_names
from rtmpose.types import Skeleton

log = logging.getLogger(__name__)

WHOLE_INSTANCE_FIELDS = (
    "segmentation",
    "face_box",
    "lefthand_box",
    "righthand_box",
    "foot_valid",
    "face_valid",
    "lefthand_valid",
    "righthand_valid",
)
"""Fields of a whole body that say nothing of its face or hand."""


def convert(dataset: KeypointDataset, target: str | Skeleton) -> KeypointDataset:
    """A set in another keypoint set.

    Boxes stay, except where the target is a part of the source (face, hands): there they are those
    of the part in the annotation (``face_box``, ``lefthand_box``), or tight around its points, and
    parts without points are left out. A middle of two points has a label where both have.

    Args:
        dataset: The set.
        target: The set's name, or a keypoint set that does not come with the package, whose points
            are matched by name.

    Raises:
        InputError: there is no conversion, or the points of the source are unknown.
    """
    # The table of conversions, or by name for a keypoint set that the package does not have.
    names = dataset.skeleton.keypoints if dataset.skeleton else dataset.keypoint_names
    table: tuple[Conversion, ...]
    shares_names = isinstance(target, Skeleton) and bool(set(names) & set(target.keypoints))
    if are_unnamed(names) and not shares_names:  # also where there are none at all
        skeleton = target if isinstance(target, Skeleton) else get_skeleton(target)
        table = (_by_position(dataset, names, skeleton),)
    elif isinstance(target, Skeleton):
        skeleton = target
        table = (conversion_by_name(names, target.name, target.keypoints),)
    else:
        skeleton = get_skeleton(ALIASES.get(target, target))
        table = conversions(_source(dataset, names), skeleton.name)

    # A body may become two instances, one for each hand: these are numbered anew.
    rows: list[JsonObject] = []
    for conversion in table:
        rows += _convert_all(dataset, conversion, names, skeleton)
    if table[0].part:
        rows.sort(key=lambda row: row["id"])
        rows = [{**row, "id": number} for number, row in enumerate(rows, 1)]

    # Sigmas of the data stay with their points. Categories keep their ids and names.
    sigmas = sigmas_by_name(dataset.content, names, skeleton)
    if sigmas != skeleton.sigmas:
        skeleton = replace(skeleton, sigmas=sigmas)
    old_categories = dataset.content.get("categories") or [{"id": 1, "name": "person"}]
    categories = [
        category_of(skeleton, str(c.get("name", "person")), c.get("id", 1)) for c in old_categories
    ]
    content = {**dataset.content, "annotations": rows, "categories": categories}
    annotations: dict[int, list[CocoAnnotation]] = {i: [] for i in dataset.images}
    for row in rows:
        annotations[int(row["image_id"])].append(row)  # type: ignore[arg-type]
    return KeypointDataset(
        dataset.path, content, dataset.images, annotations, skeleton.keypoints, skeleton
    )


def _by_position(dataset: KeypointDataset, names: tuple[str, ...], target: Skeleton) -> Conversion:
    """Unnamed points as those of a set of one's own with as many, in its order."""
    # For the sets of the package the number says nothing: 17 points may be a dog's.
    if len(names) != len(target) or target.name in skeleton_names():
        raise InputError(
            f"{dataset.path} does not say what its keypoints are; read it with --skeleton NAME or"
            " FILE.toml (skeleton=...)"
        )
    log.warning(
        "%s does not name its %d keypoints: taken in the order of %s (%s, ...)",
        dataset.path,
        len(names),
        target.name,
        ", ".join(target.keypoints[:3]),
    )
    pairs: dict[str, SourcePoint] = dict(zip(target.keypoints, names, strict=True))
    return Conversion("", target.name, pairs)


def _source(dataset: KeypointDataset, names: tuple[str, ...]) -> str | tuple[str, ...]:
    """The name of the source's keypoint set if it is one of the package, else its points."""
    if dataset.skeleton and dataset.skeleton.name in skeleton_names():
        return dataset.skeleton.name
    return names


def _convert_all(
    dataset: KeypointDataset, conversion: Conversion, names: Sequence[str], skeleton: Skeleton
) -> list[JsonObject]:
    """All annotations by one conversion; those without the part that it takes are left out."""
    # One conversion for all annotations; crowd regions and boxes pass through.
    pairs = conversion.indices(names, skeleton.keypoints)
    converted = []
    for rows in dataset.annotations.values():
        for row in rows:
            new = _with_keypoints(row, pairs, len(skeleton))
            part = _as_part(new, conversion.part) if conversion.part else new
            if part is not None:
                converted.append(part)
    return converted


def _with_keypoints(old: Mapping[str, Json], pairs: IndexPairs, keypoints: int) -> JsonObject:
    """The annotation with new keypoints, if it has any."""
    annotation = dict(old)
    source = old.get("keypoints")
    if not source:
        return annotation
    points: list[float] = [0] * (3 * keypoints)  # unlabeled points stay 0, 0, 0
    for target, sources in pairs:
        # A middle of two points has a label where both have, and is hidden where one is.
        triples = [source[3 * s : 3 * s + 3] for s in sources]
        visibility = min(v for _, _, v in triples)
        if visibility > 0:
            x = _mean([x for x, _, _ in triples])
            y = _mean([y for _, y, _ in triples])
            points[3 * target : 3 * target + 3] = [x, y, visibility]

    annotation["keypoints"] = points
    annotation["num_keypoints"] = count_labeled(points)
    return annotation


def _mean(values: Sequence[float]) -> float:
    """One number stays as it is, also its type."""
    return values[0] if len(values) == 1 else sum(values) / len(values)


def _as_part(annotation: JsonObject, part: str) -> JsonObject | None:
    """The face or a hand as an instance; None where it has no labeled point or no box."""
    points = annotation.get("keypoints") or []
    if not count_labeled(points) or annotation.get("iscrowd"):
        return None

    # The box of the part as annotated, or around its points.
    box = annotation.get(f"{part}_box")
    is_valid = annotation.get(f"{part}_valid") is not False
    if not is_valid or not box or min(box[2:]) <= 0:
        box = box_around(points)
    if min(box[2:]) <= 0:
        return None

    # The instance without the fields of the whole body; it names the annotation it is from.
    instance = {k: v for k, v in annotation.items() if k not in WHOLE_INSTANCE_FIELDS}
    instance["bbox"] = list(box)
    instance["area"] = BOX_TO_AREA * box[2] * box[3]
    instance["source_id"] = annotation.get("id")
    if part != "face":
        instance["hand_type"] = part.removesuffix("hand")
    return instance
