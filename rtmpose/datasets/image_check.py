"""Issues of image files: missing, listed twice, damaged, of another size, duplicates."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from rtmpose.datasets.check_report import IssueCollector
from rtmpose.datasets.coco_entries import is_number_list, short
from rtmpose.datasets.coco_types import JsonObject
from rtmpose.datasets.image_hash import HASH_BITS, ImageInfo, inspect_images, near_duplicates
from rtmpose.paths import is_existing_file

Progress = Callable[[int, int], None]
"""Called with the number of images done and in total."""

MAX_NAMED_IDS = 4


def check_entries(
    images: Mapping[int, JsonObject],
    files: Mapping[int, Path],
    annotations: Iterable[JsonObject],
    issues: IssueCollector,
) -> None:
    """What can be said of images and instances without opening a file.

    Args:
        images: Image id to its entry in the annotation file.
        files: Image id to path.
        annotations: Annotations of these images.
        issues: What is found is added to it.
    """
    # Files that are not there, or that are listed twice.
    ids_by_name: dict[str, list[int]] = {}
    for image_id, entry in images.items():
        ids_by_name.setdefault(entry["file_name"], []).append(image_id)
        if not is_existing_file(files[image_id]):
            issues.add("missing-image", str(files[image_id]))
    for name, ids in ids_by_name.items():
        if len(ids) > 1:
            named = ", ".join(map(str, ids[:MAX_NAMED_IDS]))
            issues.add("duplicate-file", f"{name}: images {named}")

    # Instances that are there twice.
    seen: set[tuple[float, ...]] = set()
    annotated: set[int] = set()
    for annotation in annotations:
        image_id = annotation["image_id"]
        annotated.add(image_id)
        numbers = (*_numbers(annotation, "bbox"), *_numbers(annotation, "keypoints"))
        key = (image_id, *numbers)
        if numbers and key in seen and not annotation.get("iscrowd"):
            example = f"annotation {annotation['id']} in {images[image_id]['file_name']}"
            issues.add("duplicate-instance", example, annotation["id"])
        seen.add(key)
    for image_id in images.keys() - annotated:
        issues.add("image-without-annotation", images[image_id]["file_name"])


def _numbers(annotation: JsonObject, field: str) -> tuple[float, ...]:
    """The numbers of a field; none where it holds something else."""
    values = annotation.get(field)
    return tuple(values) if is_number_list(values) else ()


def check_images(
    images: Mapping[int, JsonObject],
    files: Mapping[int, Path],
    other_files: Mapping[int, Path],
    issues: IssueCollector,
    workers: int,
    on_progress: Progress | None,
) -> None:
    """Open every image: damage, size, duplicates within the set and in the other split.

    Args:
        images: Image id to its entry in the annotation file.
        files: Image id to path.
        other_files: Of the other split, likewise; empty without one.
        issues: What is found is added to it.
        workers: Number of threads that read images.
        on_progress: Called with the number of images done and in total, of both splits.
    """
    # Progress counts the images of both splits.
    existing = {i: path for i, path in files.items() if is_existing_file(path)}
    other_existing = {i: path for i, path in other_files.items() if is_existing_file(path)}
    total = len(existing) + len(other_existing)

    # The set itself.
    opened = inspect_images(existing, _counting_from(0, total, on_progress), workers)
    for image_id, info in opened.items():
        _check_size(images[image_id], info, issues)
    duplicates: set[int] = set()
    for first, second, bits in near_duplicates(opened):
        if second not in duplicates:
            duplicates.add(second)
            example = f"{files[second].name} and {files[first].name}"
            issues.add("near-duplicate", f"{example} ({bits} of {HASH_BITS} bits differ)")

    # The other split.
    if other_existing:
        progress = _counting_from(len(existing), total, on_progress)
        other_opened = inspect_images(other_existing, progress, workers)
        _compare_splits(opened, other_opened, issues)


def _counting_from(start: int, total: int, on_progress: Progress | None) -> Progress | None:
    """Progress of one of two sets, reported as that of both."""
    if on_progress is None:
        return None
    return lambda done, _: on_progress(start + done, total)


def _check_size(entry: JsonObject, info: ImageInfo, issues: IssueCollector) -> None:
    """Whether an image can be read, and has the size that its entry says."""
    if info.error:
        issues.add("unreadable-image", info.error)
        return

    # Some sets do not say how large their images are: nothing to compare then.
    width = entry.get("width")
    height = entry.get("height")
    is_unknown = width is None or height is None or (width, height) == (0, 0)
    if not is_unknown and (width, height) != (info.width, info.height):
        sizes = f"{info.width} x {info.height}, not {short(width)} x {short(height)}"
        issues.add("wrong-image-size", f"{info.path.name}: {sizes}")


def _compare_splits(
    first: Mapping[int, ImageInfo], second: Mapping[int, ImageInfo], issues: IssueCollector
) -> None:
    """Images of the first split that look like one of the second, or have its name."""
    # Each image is named once, with its nearest partner.
    in_both: set[int] = set()
    for first_id, second_id, bits in near_duplicates(first, second):
        if first_id not in in_both:
            in_both.add(first_id)
            example = f"{first[first_id].path} and {second[second_id].path}"
            issues.add("in-both-splits", f"{example} ({bits} of {HASH_BITS} bits differ)")

    # The same name may be another image: a note only.
    names = {info.path.name for info in second.values()}
    for image_id, info in first.items():
        if info.path.name in names and image_id not in in_both:
            issues.add("same-name-in-both-splits", info.path.name)
