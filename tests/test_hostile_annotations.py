"""Annotation files with anything in any place: checked, read and scored, or refused in one line."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from annotated import coco_content, coco_folder, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtmpose.datasets import KeypointDataset, convert, load_boxes, read
from rtmpose.datasets.check import check, drawable
from rtmpose.datasets.coco import save_coco
from rtmpose.datasets.contact_sheet import annotated_poses
from rtmpose.datasets.formats import read_annotations
from rtmpose.errors import RtmposeError
from rtmpose.evaluation.pose import scorable
from rtmpose.evaluation.scoring import keypoint_map, scored_ground_truth
from rtmpose.skeletons import get_skeleton

NUMBERS = st.sampled_from(
    [0, -1, 1, 2, 3, 17, 0.5, -0.0, 1e-320, 1e7, 1e20, 1e300, -1e300, 10**18, 2**63, 10**299]
    + [float("nan"), float("inf"), float("-inf")]
)
LEAVES = NUMBERS | st.none() | st.booleans() | st.sampled_from(["", "1", "x", "\ud800", "a\0b"])
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["id", "name", "keypoints", "bbox"]), inner, max_size=3)
    ),
    max_leaves=6,
)
REMOVED = object()


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all values in parsed JSON."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value[:7]):
            yield from places(inner, (*path, index))


def changed(content: Any, path: tuple[Any, ...], value: Any) -> None:
    """Put a value into a place, if the place is still there."""
    for key in path[:-1]:
        if isinstance(content, list) != isinstance(key, int) or not isinstance(
            content, list | dict
        ):
            return
        if isinstance(content, dict) and key not in content:
            return
        if isinstance(content, list) and key >= len(content):
            return
        content = content[key]
    last = path[-1]
    if isinstance(content, dict) and isinstance(last, str):
        if value is REMOVED:
            content.pop(last, None)
        else:
            content[last] = value
    elif isinstance(content, list) and isinstance(last, int) and last < len(content):
        if value is REMOVED:
            del content[last]
        else:
            content[last] = value


def good_content() -> dict[str, Any]:
    content = coco_content(2)
    content["info"] = {"description": "a set", "contributor": "somebody"}
    content["categories"][0]["skeleton"] = [[1, 2], [2, 3]]
    content["categories"].append({"id": 2, "name": "dog"})
    return content


PLACES = list(places(good_content()))
CHANGES = st.lists(
    st.tuples(st.sampled_from(PLACES), VALUES | st.just(REMOVED)), min_size=1, max_size=3
)
QUICK = settings(
    max_examples=50,
    deadline=timedelta(seconds=5),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    derandomize=True,
)


def use(path: Path) -> None:
    """All that the commands do with a set."""
    report = check(read_annotations(path), open_images=False)
    json.dumps(report.to_dict())
    for issue in report.issues:
        assert issue.count > 0
        assert issue.examples
        assert all("\n" not in example and len(example) < 400 for example in issue.examples)
    for step in (draw, read_and_use):
        assert is_short(refusal(step, path))


def draw(path: Path) -> None:
    annotated = drawable(read_annotations(path))
    for image_id in annotated.images:
        annotated_poses(annotated, annotated.labeled(image_id))


def refusal(action: Callable[[Path], object], path: Path) -> str:
    """The error that an action raises on purpose; empty where it works."""
    try:
        action(path)
    except RtmposeError as error:
        return str(error) or "an error without a word"
    return ""


def is_short(text: str) -> bool:
    return "\n" not in text and len(text) < 1000


def read_and_use(path: Path) -> None:
    dataset = read(path)
    for image_id in dataset.images:
        dataset.boxes(image_id)
        dataset.keypoints(image_id)
        annotated_poses(dataset, dataset.labeled(image_id))
    save_coco(dataset, path.with_name("saved.json"))
    read(path.with_name("saved.json"))
    score(dataset)
    save_coco(convert(dataset, "halpe26"), path.with_name("converted.json"))


def score(dataset: KeypointDataset) -> None:
    """Average precision of the annotations against themselves."""
    pytest.importorskip("pycocotools", reason="AP needs the eval extra")
    from rtmpose.evaluation.coco import coco_keypoint_ap

    skeleton = get_skeleton("coco17")
    dataset = scorable(dataset)
    points = keypoint_map(dataset, skeleton)
    content, sigmas = scored_ground_truth(dataset, points, skeleton)
    results = [
        {"image_id": i, "category_id": 1, "keypoints": a["keypoints"], "score": 1.0}
        for i in dataset.images
        for a in dataset.labeled(i)
    ]
    coco_keypoint_ap(content, results, sigmas=sigmas)


@QUICK
@given(CHANGES)
def test_anything_anywhere(tmp_path: Path, changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    content = copy.deepcopy(good_content())
    for place, value in changes:
        changed(content, place, value)
    path = write(tmp_path / "a.json", content)
    refused = refusal(use, path)
    assert is_short(refused)
    # Only what is no COCO content at all is not checked.
    if refused:
        removed = {place[0] for place, value in changes if len(place) == 1}
        assert removed & {"annotations", "categories", "images"}, refused


@pytest.mark.slow
@settings(QUICK, max_examples=1000)
@given(CHANGES)
def test_anything_anywhere_for_longer(
    tmp_path: Path, changes: list[tuple[tuple[Any, ...], Any]]
) -> None:
    test_anything_anywhere.hypothesis.inner_test(tmp_path, changes)  # type: ignore[attr-defined]


def test_the_set_without_a_change_has_no_errors(tmp_path: Path) -> None:
    coco_folder(tmp_path, 2)
    path = write(tmp_path / "annotations.json", good_content())
    use(path)
    report = check(read_annotations(path))
    assert report.errors == 0


@pytest.fixture(scope="module")
def readers_of_samples() -> tuple[Callable[..., object], Callable[..., object]]:
    """Of poses and of boxes; loaded before the clock of an example starts."""
    pytest.importorskip("torch", reason="training needs the train extra")
    from rtmpose.training.data.detection_samples import read_detection_samples
    from rtmpose.training.data.pose_samples import read_samples

    return read_samples, read_detection_samples


@QUICK
@given(CHANGES)
def test_samples_of_a_training(
    tmp_path: Path,
    readers_of_samples: tuple[Callable[..., object], Callable[..., object]],
    changes: list[tuple[tuple[Any, ...], Any]],
) -> None:
    read_samples, read_detection_samples = readers_of_samples
    content = copy.deepcopy(good_content())
    for place, value in changes:
        changed(content, place, value)
    folder = coco_folder(tmp_path, 2).parent
    path = write(folder / "annotations.json", content)
    assert is_short(refusal(lambda path: read_samples(read(path), get_skeleton("coco17")), path))
    assert is_short(refusal(lambda path: read_detection_samples(read(path)), path))


@QUICK
@given(VALUES)
def test_any_json_at_all(tmp_path: Path, value: Any) -> None:
    path = write(tmp_path / "a.json", json.dumps(value))
    for reader in (read_annotations, read):
        with pytest.raises(RtmposeError):
            reader(path)
    if value == []:
        assert load_boxes(path) == {}
        return
    with pytest.raises(RtmposeError):
        load_boxes(path)


@QUICK
@given(st.lists(VALUES, max_size=3), CHANGES)
def test_boxes_with_anything_in_them(
    tmp_path: Path, rows: list[Any], changes: list[tuple[tuple[Any, ...], Any]]
) -> None:
    entry = {"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}
    for place, value in changes:
        changed(entry, place[-1:], value)
    path = write(tmp_path / "boxes.json", [entry, *rows])
    assert is_short(refusal(load_boxes, path))


@pytest.mark.parametrize("data", [b"", b"\x00\x01\x02", b"\xff\xd8\xff\xe0", b"a,b\n", b"[" * 9000])
def test_what_is_no_json_is_refused_in_one_line(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(data)
    with pytest.raises(RtmposeError) as caught:
        read_annotations(path)
    assert "a.json" in str(caught.value)
    assert "\n" not in str(caught.value)
