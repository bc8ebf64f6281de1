"""Find what would ruin a training: issues of an annotated set, before it takes GPU hours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from rtmpose.datasets.annotation_check import check_annotation, is_usable
from rtmpose.datasets.annotation_files import locate_images
from rtmpose.datasets.annotation_repair import count_labeled
from rtmpose.datasets.category_skeletons import category_keypoints, skeleton_with_keypoints
from rtmpose.datasets.check_report import IssueCollector, Report
from rtmpose.datasets.coco_content import Annotations
from rtmpose.datasets.coco_types import CocoContent, Json, JsonObject
from rtmpose.datasets.image_check import check_entries, check_images
from rtmpose.datasets.keypoint_dataset import KeypointDataset
from rtmpose.datasets.left_right_swaps import find_left_right_swaps, mirrored_faces
from rtmpose.types import Skeleton

MAX_FAR_FRACTION = 0.3
"""Fraction of instances with points far outside of the box above which that is an error and not a
habit of the set.
"""
MAX_MIRRORED_FRACTION = 0.7
"""Fraction of faces seen the wrong way round above which left and right of the whole set are
swapped.
"""
MIN_FACES = 10
"""Number of faces below which nothing is said of the whole set."""


def check(
    data: Annotations,
    *,
    against: Annotations | None = None,
    open_images: bool = True,
    workers: int = 2,
    on_progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Look for issues.

    Args:
        data: The set, as :func:`rtmpose.datasets.formats.read_annotations` gives it.
        against: Another split, which should have no image in common with it.
        open_images: Open every image: whether they are there, whole, of the right size, and unlike
            each other.
        workers: Number of threads that read images.
        on_progress: Called with the number of images done and in total.
    """
    # Entries that cannot be used are reported and left out of what follows.
    issues = IssueCollector()
    for kind, example in data.faults:
        issues.add(kind, example)
    images = _usable_images(data.content, issues)
    names = _keypoint_names(data)

    # Each annotation by itself.
    annotations = _usable_annotations(data.content, images, issues)
    for annotation in annotations:
        check_annotation(annotation, images[annotation["image_id"]], len(names), issues)
    usable = [a for a in annotations if is_usable(a, len(names))]
    if issues.counts["point-far-from-box"] > MAX_FAR_FRACTION * max(len(usable), 1):
        issues.rename("point-far-from-box", "points-outside-boxes")

    # The images.
    files = _image_files(data, images)
    check_entries(images, files, annotations, issues)
    if open_images:
        other_files: dict[int, Path] = {}
        if against is not None:
            other_images = _usable_images(against.content, IssueCollector())
            other_files = _image_files(against, other_images)
        check_images(images, files, other_files, issues, workers, on_progress)

    # The set as a whole.
    labels = _count_labels(usable, names)
    _check_labels(data.content, labels, usable, issues)
    _check_categories(data.content, annotations, issues)
    skeleton = data.skeleton or skeleton_with_keypoints(names)
    accuracy = _check_left_right(usable, skeleton, issues) if skeleton else None
    return Report(
        path=str(data.path),
        keypoint_set=skeleton.name if skeleton else "",
        images=len(images),
        annotations=len(annotations),
        labeled=len(usable),
        points=labels,
        issues=issues.issues(),
        left_right=accuracy,
    )


def drawable(data: Annotations) -> KeypointDataset:
    """What can be drawn of a set with issues: usable instances of images that are listed."""
    # The same choice as in the check, without a report.
    ignored = IssueCollector()
    images = _usable_images(data.content, ignored)
    keypoints = len(_keypoint_names(data))
    rows = []
    for annotation in _usable_annotations(data.content, images, ignored):
        if is_usable(annotation, keypoints) and min(annotation["bbox"][2:]) > 0:
            labeled = count_labeled(annotation["keypoints"])
            rows.append({**annotation, "num_keypoints": labeled})
    content = {**data.content, "images": list(images.values()), "annotations": rows}
    return KeypointDataset.from_content(content, data.images, data.path, data.skeleton)


def _keypoint_names(data: Annotations) -> tuple[str, ...]:
    """Empty where nothing says them."""
    # From the format, else from the categories.
    if data.skeleton:
        return data.skeleton.keypoints
    try:
        return category_keypoints(data.content)
    except (KeyError, TypeError, AttributeError):
        return ()


def _image_files(data: Annotations, images: Mapping[int, JsonObject]) -> dict[int, Path]:
    names = {image_id: entry["file_name"] for image_id, entry in images.items()}
    return locate_images(names, data.images, data.path)


def _usable_images(content: CocoContent, issues: IssueCollector) -> dict[int, JsonObject]:
    """Image entries with id and file name, by id."""
    images: dict[int, JsonObject] = {}

    # An entry needs a unique id and a file name.
    for position, entry in enumerate(content.get("images") or ()):
        try:
            image_id = int(entry["id"])
            name = str(entry["file_name"])
        except (KeyError, TypeError, ValueError) as error:
            issues.add("broken-image-entry", f"entry {position}: {error!r}")
            continue

        # The first entry with an id counts: annotations cannot say which they mean.
        if image_id in images:
            first_name = images[image_id]["file_name"]
            issues.add("duplicate-image-id", f"{image_id}: {first_name} and {name}")
            continue
        images[image_id] = {**entry, "id": image_id, "file_name": name}
    return images


def _usable_annotations(
    content: CocoContent, images: Mapping[int, JsonObject], issues: IssueCollector
) -> list[JsonObject]:
    """Annotations that belong to an image, with whole-number ids."""
    # Categories that annotations may name; a set may have none.
    categories = {c.get("id") for c in content.get("categories") or () if isinstance(c, dict)}
    annotations: list[JsonObject] = []
    ids: set[int] = set()
    for position, entry in enumerate(content.get("annotations") or ()):
        try:
            number = int(entry["id"])
            image_id = int(entry["image_id"])
        except (KeyError, TypeError, ValueError) as error:
            issues.add("broken-annotation", f"entry {position}: {error!r}")
            continue

        # Duplicates and unknown categories are counted, but the annotation is still of use.
        if number in ids:
            issues.add("duplicate-annotation-id", f"annotation {number}", number)
        ids.add(number)
        if categories and entry.get("category_id", 1) not in categories:
            example = f"annotation {number}: category {entry.get('category_id')}"
            issues.add("unknown-category", example, number)

        # Without an image there is nothing to train on.
        if image_id not in images:
            example = f"annotation {number}: image {image_id}"
            issues.add("annotation-without-image", example, number)
            continue
        annotations.append({**entry, "id": number, "image_id": image_id})
    return annotations


def _count_labels(usable: Sequence[JsonObject], names: tuple[str, ...]) -> dict[str, int]:
    """Number of labels per keypoint."""
    # Without names, keypoints are called by their number.
    if not names and usable:
        keypoints = len(usable[0]["keypoints"]) // 3
        names = tuple(f"keypoint_{i}" for i in range(keypoints))

    # Annotations of another length are reported elsewhere.
    counts = np.zeros(len(names), np.int64)
    for annotation in usable:
        if len(annotation["keypoints"]) == 3 * len(names):
            counts += np.array(annotation["keypoints"][2::3]) > 0
    return dict(zip(names, counts.tolist(), strict=True))


def _check_labels(
    content: CocoContent,
    labels: Mapping[str, int],
    usable: Sequence[JsonObject],
    issues: IssueCollector,
) -> None:
    """Keypoints that are never labeled, or a set without any label."""
    if not usable:
        issues.add("nothing-labeled", f"{len(content.get('images') or ())} images")
        return
    for name, count in labels.items():
        if not count:
            issues.add("keypoint-never-labeled", name)


def _check_categories(
    content: CocoContent, annotations: Iterable[JsonObject], issues: IssueCollector
) -> None:
    """Categories that have too few instances."""
    # Images per category: instances of one image alone cannot be held out.
    images_of: dict[Json, set[int]] = {}
    for annotation in annotations:
        category_id = annotation.get("category_id", 1)
        images_of.setdefault(category_id, set()).add(annotation["image_id"])
    has_several_images = len(content.get("images") or ()) > 1
    for category in content.get("categories") or ():
        name = str(category.get("name", category.get("id")))
        images = images_of.get(category.get("id"), set())
        if not images:
            issues.add("category-without-instance", name)
        elif len(images) == 1 and has_several_images:
            issues.add("category-in-one-image", name)


def _check_left_right(
    usable: Sequence[JsonObject], skeleton: Skeleton, issues: IssueCollector
) -> float | None:
    """Swapped left and right.

    Returns:
        Fraction of instances whose left and right the rest of the set tells apart; None where that
        cannot be said.
    """
    # The whole set, which only the anatomy can tell.
    mirrored = mirrored_faces(usable, skeleton)
    if mirrored is not None:
        fraction, faces = mirrored
        if faces >= MIN_FACES and fraction > MAX_MIRRORED_FRACTION:
            count = round(fraction * faces)
            example = f"{count} of {faces} faces seen from the front"
            issues.add_all("all-left-right-swapped", example, count)

    # Single instances, which the rest of the set tells.
    swaps = find_left_right_swaps(usable, skeleton)
    if swaps is None:
        return None
    for number in swaps.suspects:
        example = f"annotation {number} (probability {swaps.probability[number]:.3f})"
        issues.add("swapped-left-right", example, number)
    return swaps.accuracy
