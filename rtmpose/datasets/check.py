"""Find what would ruin a training: issues of an annotated set, before it takes GPU hours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from rtmpose.datasets.annotation_check import check_annotation, is_usable, with_box
from rtmpose.datasets.annotation_files import locate_images
from rtmpose.datasets.annotation_repair import count_labeled
from rtmpose.datasets.category_skeletons import (
    category_keypoints,
    skeleton_with_keypoints,
    usable_links,
)
from rtmpose.datasets.check_report import IssueCollector, Report
from rtmpose.datasets.coco_content import Annotations
from rtmpose.datasets.coco_entries import (
    category_name,
    default_category,
    entries,
    keypoint_lists,
    short,
    sigmas_fault,
    usable_categories,
    whole_number,
)
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
    issues = IssueCollector.of(data.faults)
    images = _usable_images(data.content, issues)
    names = _keypoint_names(data)

    # Each annotation by itself.
    annotations = _usable_annotations(data.content, images, issues)
    for annotation in annotations:
        check_annotation(annotation, images[annotation["image_id"]], len(names), issues)
    annotations = [with_box(a, len(names)) for a in annotations]
    usable = [a for a in annotations if is_usable(a, len(names))]
    if issues.counts["box-centered"] > MAX_FAR_FRACTION * max(len(usable), 1):
        issues.rename("box-centered", "center-boxes")
    issues.drop("box-centered")  # of a few it says nothing
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
    _check_categories(_as_in_file(data), annotations, issues)
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
    content = {
        **data.content,
        "images": list(images.values()),
        "annotations": rows,
        "categories": usable_categories(data.content),
    }
    return KeypointDataset.from_content(content, data.images, data.path, data.skeleton)


def _as_in_file(data: Annotations) -> CocoContent:
    """The content with the categories that the file has, before they got the keypoints' names."""
    return (
        {**data.content, "categories": list(data.categories)} if data.categories else data.content
    )


def _keypoint_names(data: Annotations) -> tuple[str, ...]:
    """Empty where nothing says them."""
    # From the format, else from the categories.
    return data.skeleton.keypoints if data.skeleton else category_keypoints(data.content)


def _image_files(data: Annotations, images: Mapping[int, JsonObject]) -> dict[int, Path]:
    names = {image_id: entry["file_name"] for image_id, entry in images.items()}
    return locate_images(names, data.images, data.path)


def _usable_images(content: CocoContent, issues: IssueCollector) -> dict[int, JsonObject]:
    """Image entries with id and file name, by id."""
    images: dict[int, JsonObject] = {}

    # An entry needs a unique id and a file name.
    for position, entry in enumerate(_entries(content, "images", issues)):
        try:
            image_id = whole_number(entry["id"], "id")
            name = entry["file_name"]
            if not isinstance(name, str) or not name:
                raise ValueError(f"the file name is {short(name)}")
        except (KeyError, TypeError, ValueError) as error:
            issues.add("broken-image-entry", f"entry {position}: {_reason(entry, error)}")
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
    categories = {c["id"] for c in usable_categories(content)}
    fallback = default_category(content)
    annotations: list[JsonObject] = []
    ids: set[int] = set()
    for position, entry in enumerate(_entries(content, "annotations", issues)):
        try:
            number = whole_number(entry.get("id", position + 1), "id")
            image_id = whole_number(entry["image_id"], "image_id")
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            issues.add("broken-annotation", f"entry {position}: {_reason(entry, error)}")
            continue
        if "id" not in entry:
            issues.add("annotation-without-id", f"entry {position}")

        # Duplicates and unknown categories are counted, but the annotation is still of use.
        if number in ids:
            issues.add("duplicate-annotation-id", f"annotation {number}", number)
        ids.add(number)
        category = _category_id(entry, fallback)
        if categories and category not in categories:
            example = f"annotation {number}: category {short(entry.get('category_id'))}"
            issues.add("unknown-category", example, number)

        # Without an image there is nothing to train on.
        if image_id not in images:
            example = f"annotation {number}: image {image_id}"
            issues.add("annotation-without-image", example, number)
            continue
        annotations.append({**entry, "id": number, "image_id": image_id})
    return annotations


def _entries(content: CocoContent, name: str, issues: IssueCollector) -> list[Json]:
    """One of the lists of the file."""
    values = content.get(name)
    if values is not None and not isinstance(values, list):
        issues.add("broken-list", f"{name}: {short(values)}")
    return entries(content, name)


def _category_id(entry: Mapping[str, Json], fallback: int) -> int | None:
    """The category of an annotation; None where what it names cannot be one."""
    value = entry.get("category_id")
    try:
        return fallback if value is None else whole_number(value)
    except ValueError:
        return None


def _reason(entry: Json, error: Exception) -> str:
    """Why an entry cannot be used."""
    if not isinstance(entry, dict):
        return f"{short(entry)} is not an object"
    return f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)


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
        issues.add("nothing-labeled", f"{len(entries(content, 'images'))} images")
        return
    for name, count in labels.items():
        if not count:
            issues.add("keypoint-never-labeled", name)


def _check_categories(
    content: CocoContent, annotations: Iterable[JsonObject], issues: IssueCollector
) -> None:
    """Categories that have too few instances, or keypoints that cannot be used."""
    for position, entry in enumerate(_entries(content, "categories", issues)):
        try:
            whole_number(entry["id"], "id")
        except (KeyError, TypeError, ValueError) as error:
            issues.add("broken-category", f"entry {position}: {_reason(entry, error)}")

    # Images per category: instances of one image alone cannot be held out.
    images_of: dict[int | None, set[int]] = {}
    fallback = default_category(content)
    for annotation in annotations:
        category_id = _category_id(annotation, fallback)
        images_of.setdefault(category_id, set()).add(annotation["image_id"])
    has_several_images = len(entries(content, "images")) > 1
    for category in usable_categories(content):
        name = category_name(category)
        images = images_of.get(category["id"], set())
        if not images:
            issues.add("category-without-instance", name)
        elif len(images) == 1 and has_several_images:
            issues.add("category-in-one-image", name)
        _check_keypoint_set(category, name, issues)

    # One set at a time can be trained.
    sets = keypoint_lists(content)
    if len(set(sets.values())) > 1:
        example = ", ".join(f"{name} ({len(points)})" for name, points in sets.items())
        issues.add("several-keypoint-sets", example)


def _check_keypoint_set(category: JsonObject, name: str, issues: IssueCollector) -> None:
    """Names and links of a category."""
    points = category.get("keypoints")
    if not points:
        return
    if not isinstance(points, list):
        issues.add("broken-category", f"{name}: the keypoints are {short(points)}")
        return
    names = list(map(str, points))
    repeated = sorted(point for point, count in Counter(names).items() if count > 1)
    for point in repeated:
        issues.add("repeated-keypoint-name", f"{name}: {short(point)}")
    if fault := sigmas_fault(category):
        issues.add("unusable-sigmas", f"{name}: {fault}")
    links = category.get("skeleton") or []
    usable, first = usable_links(links, len(names))
    wrong = len(links) - len(usable) if isinstance(links, list) else 1
    if wrong or not first:
        example = "they count from 0" if not first else f"{wrong} of them"
        issues.add_all("unusable-link", f"{name}: {example}", wrong or len(usable))


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
