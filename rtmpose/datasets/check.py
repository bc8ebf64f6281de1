"""What would ruin a training: faults of an annotated set, found before the GPU is."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rtmpose.datasets.check_report import IssueCollector, Report
from rtmpose.datasets.coco_content import Annotations
from rtmpose.datasets.image_check import Picture, examine, look_alikes
from rtmpose.datasets.keypoint_dataset import (
    KeypointDataset,
    category_names,
    locate_images,
    skeleton_named,
)
from rtmpose.datasets.left_right_swaps import find_swapped, share_facing_wrong
from rtmpose.types import Skeleton

SLACK = 2.0
"""Pixels that points and boxes may lie outside of the picture: rounding, and pixel edges against
pixel centers.
"""
FAR = 0.5
"""Points farther outside of the box than this share of its longer side are taken for mistakes."""
ROTTEN = 0.3
"""Share of instances with points far outside of the box above which that is an error and not a
habit of the set.
"""
EXCHANGED = 0.7
"""Share of faces seen the wrong way round above which left and right of the whole set are
exchanged.
"""
FEWEST_FACES = 10


def check(
    data: Annotations,
    *,
    against: Annotations | None = None,
    pictures: bool = True,
    workers: int = 2,
    on_progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Look for faults.

    Args:
        data: The set, as :func:`rtmpose.datasets.formats.read_annotations` gives it.
        against: Another split, which should have no photo in common with it.
        pictures: Open every picture: whether they are there, whole, of the right size, and unlike
            each other.
        workers: Threads that read pictures.
        on_progress: Called with pictures done and total.
    """
    found = IssueCollector()
    images = _images(data.content, found)
    names = tuple(map(str, _names(data)))
    annotations = _annotations(data.content, images, found)
    k = len(names)
    for a in annotations:
        _check_annotation(a, images[a["image_id"]], k, found)
    good = [a for a in annotations if _is_good(a, k)]
    files = locate_images({i: e["file_name"] for i, e in images.items()}, data.images, data.path)
    _check_files(images, files, annotations, found, opened=pictures)
    if pictures:
        _check_pictures(images, files, against, found, workers, on_progress)
    labels = _check_labels(data.content, annotations, good, names, found)
    skeleton = data.skeleton or skeleton_named(names)
    accuracy = _check_sides(good, skeleton, found)
    far = found.counts["point-far-from-box"]
    if far > ROTTEN * max(len(good), 1):
        found.rename("point-far-from-box", "points-beside-boxes")
    return Report(
        str(data.path), skeleton.name if skeleton else "", len(images), len(annotations), len(good), labels,
        found.faults(), accuracy,
    )  # fmt: skip


def drawable(data: Annotations) -> KeypointDataset:
    """What of a set with faults can be drawn: sound instances of images that are listed."""
    findings = IssueCollector()
    images = _images(data.content, findings)
    rows = [
        a for a in _annotations(data.content, images, findings) if _is_good(a, len(_names(data)))
    ]
    rows = [{**a, "num_keypoints": sum(1 for v in a["keypoints"][2::3] if v > 0)} for a in rows]
    rows = [a for a in rows if min(a["bbox"][2:]) > 0]
    content = {**data.content, "images": list(images.values()), "annotations": rows}
    return KeypointDataset.from_content(content, data.images, data.path, data.skeleton)


def _names(data: Annotations) -> tuple[str, ...]:
    if data.skeleton:
        return data.skeleton.keypoints
    try:
        return category_names(data.content)
    except (KeyError, TypeError, AttributeError):
        return ()


def _images(content: Mapping[str, Any], found: IssueCollector) -> dict[int, dict[str, Any]]:
    """Usable image entries by id."""
    images: dict[int, dict[str, Any]] = {}
    for position, entry in enumerate(content.get("images") or ()):
        try:
            number, name = int(entry["id"]), str(entry["file_name"])
        except (KeyError, TypeError, ValueError) as error:
            found.add("broken-image-entry", f"entry {position}: {error!r}")
            continue
        if number in images:
            found.add("duplicate-image-id", f"{number}: {images[number]['file_name']} and {name}")
            continue
        images[number] = {**entry, "id": number, "file_name": name}
    return images


def _annotations(
    content: Mapping[str, Any], images: Mapping[int, Any], found: IssueCollector
) -> list[dict[str, Any]]:
    """Annotations that belong to an image, with whole-number ids."""
    categories = {c.get("id") for c in content.get("categories") or () if isinstance(c, dict)}
    rows: list[dict[str, Any]] = []
    ids: set[int] = set()
    for position, a in enumerate(content.get("annotations") or ()):
        try:
            number, image_id = int(a["id"]), int(a["image_id"])
        except (KeyError, TypeError, ValueError) as error:
            found.add("broken-annotation", f"entry {position}: {error!r}")
            continue
        if number in ids:
            found.add("duplicate-annotation-id", f"annotation {number}", number)
        ids.add(number)
        if a.get("category_id", 1) not in categories and categories:
            found.add(
                "unknown-category", f"annotation {number}: category {a.get('category_id')}", number
            )
        if image_id not in images:
            found.add("annotation-of-no-image", f"annotation {number}: image {image_id}", number)
            continue
        rows.append({**a, "id": number, "image_id": image_id})
    return rows


def _check_annotation(
    a: dict[str, Any], image: Mapping[str, Any], k: int, found: IssueCollector
) -> None:
    number, where = a["id"], f"annotation {a['id']} in {image['file_name']}"
    box = a.get("bbox")
    good_box = _finite(box) and len(box) == 4  # type: ignore[arg-type]
    size = image.get("width"), image.get("height")
    if not good_box:
        found.add("box-not-numbers", f"{where}: {box}", number)
    else:
        _check_box(box, size, where, number, found)  # type: ignore[arg-type]
    points = a.get("keypoints") or []
    if not points:
        if not a.get("iscrowd"):
            found.add("without-keypoints", where, number)
        return
    if len(points) % 3 or (k and len(points) != 3 * k):
        found.add("wrong-keypoint-count", f"{where}: {len(points)} values, not {3 * k}", number)
        return
    if not _finite(points):
        found.add("keypoints-not-numbers", where, number)
        return
    _check_points(a, points, box if good_box else None, size, where, found)


def _check_box(
    box: list[float], size: tuple[Any, Any], where: str, number: int, found: IssueCollector
) -> None:
    x, y, w, h = box
    text = f"{where}: {[round(float(v), 1) for v in box]}"
    if w <= 0 or h <= 0:
        found.add("box-without-area", text, number)
        return
    width, height = size
    if not (
        isinstance(width, int | float)
        and isinstance(height, int | float)
        and width > 0
        and height > 0
    ):
        return
    if x >= width or y >= height or x + w <= 0 or y + h <= 0:
        found.add("box-outside", f"{text} in {width} x {height}", number)
    elif x < -SLACK or y < -SLACK or x + w > width + SLACK or y + h > height + SLACK:
        found.add("box-over-edge", f"{text} in {width} x {height}", number)


def _check_points(
    a: Mapping[str, Any],
    points: list[float],
    box: list[float] | None,
    size: tuple[Any, Any],
    where: str,
    found: IssueCollector,
) -> None:
    number = a["id"]
    if odd := sorted(set(points[2::3]) - {0, 1, 2}):
        found.add(
            "visibility-values", f"{where}: v = {', '.join(f'{v:g}' for v in odd[:3])}", number
        )
    array = np.array(points, np.float64).reshape(-1, 3)
    seen = array[array[:, 2] > 0, :2]
    if not len(seen):
        if not a.get("iscrowd"):
            found.add("without-keypoints", where, number)
        return
    if "num_keypoints" in a and a["num_keypoints"] != len(seen):
        found.add("num-keypoints", f"{where}: says {a['num_keypoints']}, has {len(seen)}", number)
    width, height = size
    if (
        isinstance(width, int | float)
        and isinstance(height, int | float)
        and width > 0
        and height > 0
    ):
        out = (seen < -SLACK).any(axis=1) | (seen > np.array([width, height]) - 1 + SLACK).any(
            axis=1
        )
        if out.any():
            found.add(
                "point-outside-picture",
                f"{where}: {_place(seen[out][0])} in {width} x {height}",
                number,
            )
    if box is not None and min(box[2:]) > 0:
        low, high = np.array(box[:2]), np.array(box[:2]) + box[2:]
        away = np.maximum(low - seen, seen - high).max(axis=1)
        if away.max() > FAR * max(box[2:]):
            found.add(
                "point-far-from-box",
                f"{where}: {_place(seen[away.argmax()])}, box {_place(box)}",
                number,
            )


def _place(values: Iterable[float]) -> str:
    return "(" + ", ".join(f"{float(v):.0f}" for v in values) + ")"


def _finite(values: Any) -> bool:
    """Whether it is a list of finite numbers."""
    if not isinstance(values, list | tuple):
        return False
    return set(map(type, values)) <= {int, float} and math.isfinite(sum(values))


def _is_good(a: Mapping[str, Any], k: int) -> bool:
    """An instance that a training would take."""
    points = a.get("keypoints") or []
    fits = len(points) > 0 and len(points) % 3 == 0 and (not k or len(points) == 3 * k)
    if not fits or not _finite(points) or a.get("iscrowd"):
        return False
    box = a.get("bbox")
    return any(v > 0 for v in points[2::3]) and _finite(box) and len(box or ()) == 4


def _check_files(
    images: Mapping[int, Mapping[str, Any]],
    files: Mapping[int, Path],
    annotations: Iterable[Mapping[str, Any]],
    found: IssueCollector,
    opened: bool,
) -> None:
    by_file: dict[str, list[int]] = {}
    for i, entry in images.items():
        by_file.setdefault(entry["file_name"], []).append(i)
        if not files[i].is_file():
            found.add("missing-picture", str(files[i]))
    for name, ids in by_file.items():
        if len(ids) > 1:
            found.add("same-file", f"{name}: images {', '.join(map(str, ids[:4]))}")
    taken: set[tuple[Any, ...]] = set()
    used = set()
    for a in annotations:
        used.add(a["image_id"])
        key = (a["image_id"], *(a.get("bbox") or ()), *(a.get("keypoints") or ()))
        if len(key) > 1 and key in taken and not a.get("iscrowd"):
            found.add(
                "same-box", f"annotation {a['id']} in {images[a['image_id']]['file_name']}", a["id"]
            )
        taken.add(key)
    for i in images.keys() - used:
        found.add("image-without-instance", images[i]["file_name"])


def _check_pictures(
    images: Mapping[int, Mapping[str, Any]],
    files: Mapping[int, Path],
    against: Annotations | None,
    found: IssueCollector,
    workers: int,
    on_progress: Callable[[int, int], None] | None,
) -> None:
    there = {i: p for i, p in files.items() if p.is_file()}
    others: dict[int, Path] = {}
    if against is not None:
        entries = _images(against.content, IssueCollector())
        places = locate_images(
            {i: e["file_name"] for i, e in entries.items()}, against.images, against.path
        )
        others = {i: p for i, p in places.items() if p.is_file()}
    total = len(there) + len(others)
    opened = examine(there, on_progress and (lambda done, _: on_progress(done, total)), workers)
    for i, picture in opened.items():
        said = images[i].get("width"), images[i].get("height")
        if picture.fault:
            found.add("unreadable-picture", picture.fault)
        elif None not in said and said != (picture.width, picture.height) and said != (0, 0):
            text = (
                f"{picture.path.name}: {picture.width} x {picture.height}, not {said[0]} x"
                f" {said[1]}"
            )
            found.add("other-size", text)
    twins: set[int] = set()
    for a, b, bits in look_alikes(opened):
        if b not in twins:
            twins.add(b)
            found.add(
                "look-alike", f"{files[b].name} and {files[a].name} ({bits} of 256 bits differ)"
            )
    if against is None:
        return
    offset = len(there)
    second = examine(
        others, on_progress and (lambda done, _: on_progress(offset + done, total)), workers
    )
    _compare_splits(opened, second, files, found)


def _compare_splits(
    first: Mapping[int, Picture],
    second: Mapping[int, Picture],
    files: Mapping[int, Path],
    found: IssueCollector,
) -> None:
    both: set[int] = set()
    for a, b, bits in look_alikes(first, second):
        if a not in both:
            both.add(a)
            found.add(
                "in-both-splits", f"{files[a]} and {second[b].path} ({bits} of 256 bits differ)"
            )
    names = {p.path.name for p in second.values()}
    for i in first:
        if files[i].name in names and i not in both:
            found.add("shared-file-name", files[i].name)


def _check_labels(
    content: Mapping[str, Any],
    annotations: Iterable[Mapping[str, Any]],
    good: Sequence[Mapping[str, Any]],
    names: tuple[str, ...],
    found: IssueCollector,
) -> dict[str, int]:
    """Labels per keypoint; reports points and categories that have too few."""
    if not good:
        found.add("nothing-labeled", f"{len(content.get('images') or ())} images")
    k = len(names) or (len(good[0]["keypoints"]) // 3 if good else 0)
    counts = np.zeros(k, np.int64)
    for a in good:
        counts += np.array(a["keypoints"][2::3]) > 0 if len(a["keypoints"]) == 3 * k else 0
    labels = dict(
        zip(names or tuple(f"keypoint_{i}" for i in range(k)), counts.tolist(), strict=True)
    )
    for name, count in labels.items():
        if not count and good:
            found.add("point-never-labeled", name)
    places: dict[Any, set[int]] = {}
    for a in annotations:
        places.setdefault(a.get("category_id", 1), set()).add(int(a["image_id"]))
    for category in content.get("categories") or ():
        where = places.get(category.get("id"), set())
        if not where:
            found.add("class-without-instance", str(category.get("name", category.get("id"))))
        elif len(where) == 1 and len(content.get("images") or ()) > 1:
            found.add("class-of-one-image", str(category.get("name", category.get("id"))))
    return labels


def _check_sides(
    good: list[dict[str, Any]], skeleton: Skeleton | None, found: IssueCollector
) -> float | None:
    if skeleton is None:
        return None
    share = share_facing_wrong(good, skeleton)
    if share and share[1] >= FEWEST_FACES and share[0] > EXCHANGED:
        count = round(share[0] * share[1])
        for _ in range(count):
            found.add("all-sides-exchanged", f"{count} of {share[1]} faces seen from the front")
        found.examples["all-sides-exchanged"] = found.examples["all-sides-exchanged"][:1]
    sides = find_swapped(good, skeleton)
    if sides is None:
        return None
    for number in sides.suspects:
        found.add(
            "swapped-sides",
            f"annotation {number} (probability {sides.probability[number]:.3f})",
            number,
        )
    return sides.accuracy
