"""What people's files have instead of what COCO asks for: all commands agree on it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from annotated import coco_content, coco_folder, person, write

from rtmpose.cli import main
from rtmpose.datasets import KeypointDataset, load_boxes, read
from rtmpose.datasets.check import check
from rtmpose.datasets.check_report import ISSUE_KINDS
from rtmpose.datasets.formats import read_annotations
from rtmpose.errors import InputError

Content = dict[str, Any]
Change = Callable[[Content], object]


def each(**fields: Any) -> Change:
    """A change of every annotation."""
    return lambda content: [a.update(fields) for a in content["annotations"]]


def each_without(field: str) -> Change:
    return lambda content: [a.pop(field) for a in content["annotations"]]


def changed(folder: Path, change: Change, n: int = 3) -> Path:
    """A set on disk, with a change."""
    coco_folder(folder, n)
    content = coco_content(n)
    change(content)
    return write(folder / "annotations.json", content)


def kinds(path: Path, **options: Any) -> dict[str, int]:
    report = check(read_annotations(path, **options), open_images=False)
    return {issue.kind: issue.count for issue in report.issues}


# ---- areas


@pytest.mark.parametrize("area", [0, -1, None, "500", float("nan"), float("inf"), [], True, 1e300])
def test_areas_that_are_none_count_as_missing(
    tmp_path: Path, area: Any, caplog: pytest.LogCaptureFixture
) -> None:
    path = changed(tmp_path, each(area=area))
    dataset = read(path)
    assert dataset.annotations[1][0]["area"] == pytest.approx(0.53 * 30 * 36)
    if area is not None:
        assert "3 annotations have an area of 0" in caplog.text
        assert kinds(path) == {"area-without-use": 3}
        assert ISSUE_KINDS["area-without-use"].severity == "note"


@pytest.mark.parametrize("area", [0, None, "500", float("nan")])
def test_average_precision_does_not_depend_on_such_areas(tmp_path: Path, area: Any) -> None:
    pytest.importorskip("pycocotools", reason="AP needs the eval extra")
    from rtmpose.evaluation.coco import coco_keypoint_ap

    good = coco_content(3)
    results = [
        {"image_id": a["image_id"], "category_id": 1, "keypoints": a["keypoints"], "score": 0.9}
        for a in good["annotations"]
    ]
    each(area=area)(good)
    assert coco_keypoint_ap(good, results)["AP"] == pytest.approx(1)
    assert coco_keypoint_ap(write(tmp_path / "a.json", good), results)["AP"] == pytest.approx(1)


# ---- ids


def text_ids(content: Content) -> None:
    for image in content["images"]:
        image["id"] = f"{image['id']:012d}"
    for annotation in content["annotations"]:
        annotation["id"] = str(annotation["id"])
        annotation["image_id"] = f"{annotation['image_id']:012d}"
        annotation["category_id"] = "1"


def test_ids_as_text_become_numbers(tmp_path: Path) -> None:
    path = changed(tmp_path, text_ids)
    assert kinds(path) == {}
    for dataset in (read(path), KeypointDataset.load(path)):
        assert [i["id"] for i in dataset.content["images"]] == [1, 2, 3]
        rows = dataset.content["annotations"]
        assert [(a["id"], a["image_id"], a["category_id"]) for a in rows] == [
            (10, 1, 1),
            (20, 2, 1),
            (30, 3, 1),
        ]


@pytest.mark.parametrize("value", ["frame_a", 1.5, True, None, [1], {}, 1e400, 2**70, "1" * 40])
def test_ids_that_are_no_numbers_are_refused_clearly(tmp_path: Path, value: Any) -> None:
    def change(content: Content) -> None:
        content["images"][0]["id"] = value
        content["annotations"][0]["image_id"] = value

    path = changed(tmp_path, change)
    found = kinds(path)
    assert found["broken-image-entry"] == 1
    assert found["broken-annotation"] == 1
    with pytest.raises(InputError, match=r"image entry 0: .*(whole number|too large).*data check"):
        read(path)


def test_missing_ids_and_categories(tmp_path: Path) -> None:
    def change(content: Content) -> None:
        each_without("id")(content)
        each_without("category_id")(content)
        content["categories"].insert(0, {"id": 7, "name": "ball"})

    path = changed(tmp_path, change)
    found = kinds(path)
    assert found["annotation-without-id"] == 3
    assert found["without-category"] == 3
    dataset = read(path)
    assert [a["id"] for a in dataset.content["annotations"]] == [1, 2, 3]
    assert {a["category_id"] for a in dataset.content["annotations"]} == {1}


# ---- numbers of keypoints


@pytest.mark.parametrize("number", [-3, None, "17", 2.5])
def test_num_keypoints_that_cannot_be_is_counted(tmp_path: Path, number: Any) -> None:
    path = changed(tmp_path, each(num_keypoints=number))
    dataset = read(path)
    assert [len(dataset.labeled(i)) for i in dataset.images] == [1, 1, 1]
    assert check(read_annotations(path), open_images=False).labeled == 3
    assert kinds(path) == {"wrong-num-keypoints": 3}


def test_num_keypoints_of_zero_leaves_an_instance_out(tmp_path: Path) -> None:
    path = changed(tmp_path, lambda content: content["annotations"][0].update(num_keypoints=0))
    dataset = read(path)
    assert [len(dataset.labeled(i)) for i in dataset.images] == [0, 1, 1]
    assert check(read_annotations(path), open_images=False).labeled == 2
    assert kinds(path) == {"num-keypoints-of-zero": 1}
    assert ISSUE_KINDS["num-keypoints-of-zero"].severity == "error"


@pytest.mark.parametrize("crowd", ["0", 0, False, None, "false"])
def test_crowds_that_are_none(tmp_path: Path, crowd: Any) -> None:
    path = changed(tmp_path, each(iscrowd=crowd))
    assert [a["iscrowd"] for a in read(path).content["annotations"]] == [0, 0, 0]
    assert kinds(path) == {}


def test_numbers_of_numpy_are_numbers(tmp_path: Path) -> None:
    content = coco_content(1)
    row = content["annotations"][0]
    row.update(id=np.int64(10), area=np.float32(500), num_keypoints=np.int32(17))
    row.update(bbox=np.array(row["bbox"]), keypoints=[np.float64(v) for v in row["keypoints"]])
    dataset = KeypointDataset.from_content(content, tmp_path, tmp_path / "a.json")
    assert len(dataset.labeled(1)) == 1
    assert dataset.labeled(1)[0]["area"] == 500


@pytest.mark.parametrize("points", [None, [], [0] * 51])
def test_people_without_points_train_detectors_only(tmp_path: Path, points: Any) -> None:
    def change(content: Content) -> None:
        content["annotations"][0]["keypoints"] = points

    path = changed(tmp_path, change)
    dataset = read(path)
    assert [len(dataset.labeled(i)) for i in dataset.images] == [0, 1, 1]
    report = check(read_annotations(path), open_images=False)
    assert report.labeled == 2
    assert kinds(path)["without-keypoints"] == 1


# ---- forms of boxes


def big_people(n: int = 10) -> Content:
    """People all over images of 640 x 480, boxed around their points."""
    content = coco_content(n)
    rng = np.random.default_rng(0)
    for i, annotation in enumerate(content["annotations"]):
        content["images"][i].update(width=640, height=480)
        left, top = rng.uniform((20, 20), (350, 250))
        width, height = rng.uniform((100, 100), (250, 200))
        annotation["bbox"] = [left, top, width, height]
        annotation["keypoints"] = person(17, left, top, width, height, seed=i)
    return content


def to_corners(annotation: Content) -> None:
    x, y, w, h = annotation["bbox"]
    annotation["bbox"] = [x, y, x + w, y + h]


def to_center(annotation: Content) -> None:
    x, y, w, h = annotation["bbox"]
    annotation["bbox"] = [x + w / 2, y + h / 2, w, h]


def to_fractions(annotation: Content) -> None:
    x, y, w, h = annotation["bbox"]
    annotation["bbox"] = [x / 640, y / 480, w / 640, h / 480]
    scale = np.tile([1 / 640, 1 / 480, 1], 17)
    annotation["keypoints"] = (np.array(annotation["keypoints"]) * scale).tolist()


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (to_corners, "box-corners"),
        (to_center, "center-boxes"),
        (to_fractions, "relative-coordinates"),
    ],
)
def test_boxes_of_another_form_are_errors(
    tmp_path: Path, change: Callable[[Content], None], kind: str
) -> None:
    content = big_people()
    assert kinds(write(tmp_path / "good.json", content)) == {"missing-image": 10}
    for annotation in content["annotations"]:
        change(annotation)
    found = kinds(write(tmp_path / "a.json", content))
    assert found[kind] >= 3
    assert ISSUE_KINDS[kind].severity == "error"


def test_one_box_of_ten_that_is_corners_is_found(tmp_path: Path) -> None:
    content = big_people()
    content["annotations"][4]["bbox"] = [200.0, 150.0, 300.0, 200.0]
    content["annotations"][4]["keypoints"] = person(17, 200, 150, 300, 200)
    to_corners(content["annotations"][4])
    path = write(tmp_path / "a.json", content)
    report = check(read_annotations(path), open_images=False)
    found = {issue.kind: issue for issue in report.issues}
    assert found["box-corners"].ids == (content["annotations"][4]["id"],)


# ---- keypoint sets


def two_sets(content: Content) -> None:
    content["categories"].append({"id": 2, "name": "mouse", "keypoints": ["snout", "tail"]})
    content["annotations"][2].update(category_id=2, keypoints=[9, 9, 2, 12, 12, 2])


def test_one_of_two_keypoint_sets_is_chosen(tmp_path: Path) -> None:
    path = changed(tmp_path, two_sets)
    assert kinds(path)["several-keypoint-sets"] == 1
    with pytest.raises(InputError, match=r"person \(17\), mouse \(2\); choose one with --category"):
        read(path)
    mouse = read(path, category="mouse")
    assert mouse.keypoint_names == ("snout", "tail")
    assert [len(mouse.labeled(i)) for i in mouse.images] == [0, 0, 1]
    assert len(read(path, category="1").content["annotations"]) == 2
    assert "several-keypoint-sets" not in kinds(path, category="person")
    with pytest.raises(InputError, match="no category 'cat'; it has person, mouse"):
        read(path, category="cat")


def test_the_command_line_chooses_a_category(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = changed(tmp_path, two_sets)
    out = tmp_path / "mouse.json"
    assert main(["data", "convert", str(path), "-o", str(out)]) != 0
    assert "--category NAME" in capsys.readouterr().err
    assert main(["data", "convert", str(path), "--category", "mouse", "-o", str(out)]) == 0
    assert read(out).keypoint_names == ("snout", "tail")


def own_names(**fields: Any) -> Change:
    def change(content: Content) -> None:
        names = ["snout", "left_ear", "right_ear", "tail"]
        content["categories"][0].update({"keypoints": names, **fields})
        each(keypoints=person(4), num_keypoints=4)(content)

    return change


@pytest.mark.parametrize(
    ("links", "expected", "wrong"),
    [
        ([[1, 2], [1, 3], [1, 4]], ((0, 1), (0, 2), (0, 3)), 0),
        ([[0, 1], [0, 2], [0, 3]], ((0, 1), (0, 2), (0, 3)), 3),
        ([[1, 2], [1, 9], [1, 4]], ((0, 1), (0, 3)), 1),
        ([[1, 2], None, [3], "ab", [2, 2], [1, 1.5]], ((0, 1),), 5),
        ("none", (), 1),
    ],
)
def test_links(tmp_path: Path, links: Any, expected: Any, wrong: int) -> None:
    path = changed(tmp_path, own_names(skeleton=links))
    skeleton = read(path).skeleton
    assert skeleton is not None
    assert skeleton.links == expected
    assert kinds(path).get("unusable-link", 0) == wrong


def test_names_that_occur_twice(tmp_path: Path) -> None:
    path = changed(tmp_path, own_names(keypoints=["a", "b", "a", "c"]))
    found = kinds(path)
    assert found["repeated-keypoint-name"] == 1
    assert ISSUE_KINDS["repeated-keypoint-name"].severity == "error"
    assert read(path).labeled(1)


# ---- whole files


def test_a_byte_order_mark_and_utf_16(tmp_path: Path) -> None:
    path = coco_folder(tmp_path)
    text = path.read_text()
    for encoding in ("utf-8-sig", "utf-16"):
        path.write_bytes(text.encode(encoding))
        assert kinds(path) == {}
        assert len(read(path).images) == 3


def label_studio(content: Content) -> None:
    content["info"] = {"contributor": "Label Studio", "version": "1.0", "year": 2026}


def test_the_coco_export_of_label_studio_is_refused(tmp_path: Path) -> None:
    path = changed(tmp_path, label_studio)
    for reader in (read, read_annotations, KeypointDataset.load):
        with pytest.raises(InputError, match=r"Label Studio's COCO export.*as JSON.*data convert"):
            reader(path)
    # Boxes alone are kept apart, and fine for a detector.
    path = changed(tmp_path, lambda c: (label_studio(c), each_without("keypoints")(c)))
    assert len(read(path).images) == 3


@pytest.mark.parametrize("name", ["images", "annotations", "categories"])
@pytest.mark.parametrize("value", [{"1": {}}, "all", 3])
def test_lists_that_are_none(tmp_path: Path, name: str, value: Any) -> None:
    path = changed(tmp_path, lambda content: content.update({name: value}))
    assert kinds(path)["broken-list"] == 1
    with pytest.raises(InputError, match=f"'{name}' is .*, not a list"):
        read(path)


# ---- boxes of a detector


def box(category: int | None, image_id: int = 1) -> Content:
    row = {"image_id": image_id, "bbox": [5, 4, 30, 36], "score": 0.9}
    return row if category is None else {**row, "category_id": category}


def test_boxes_of_other_categories_are_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / "b.json", [box(1), box(3), box(3), box(17), box(None, 2)])
    boxes = load_boxes(path, {1})
    assert {i: len(found) for i, found in boxes.items()} == {1: 1, 2: 1}
    assert "3 of other categories were left out: 3 (2), 17 (1)" in caplog.text
    assert len(load_boxes(path)[1]) == 4


def test_a_detector_of_one_class_may_number_it_as_it_likes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / "b.json", [box(0), box(0, 2)])
    assert len(load_boxes(path, {1})) == 2
    assert "all boxes are of category 0 (2), where the set has 1" in caplog.text


def test_boxes_without_any_of_the_category_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "b.json", [box(0), box(2)])
    with pytest.raises(InputError, match=r"no box of the set's category 1; .* 0 \(1\), 2 \(1\)"):
        load_boxes(path, {1})


def test_evaluation_takes_the_boxes_of_its_category(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("pycocotools", reason="AP needs the eval extra")
    from rtmpose.evaluation import evaluate
    from rtmpose.skeletons import get_skeleton
    from rtmpose.types import Detections, Poses

    class Mean:
        """Finds every keypoint in the middle of its box."""

        skeleton = get_skeleton("coco17")

        def __call__(self, image: Any, boxes: Detections, *, flip_test: bool = False) -> Poses:
            middle = (boxes.boxes[:, :2] + boxes.boxes[:, 2:]) / 2
            keypoints = np.repeat(middle[:, None], 17, axis=1)
            scores = np.ones((len(boxes), 17), np.float32)
            return Poses(boxes.boxes, boxes.scores, keypoints, scores, self.skeleton)

    path = coco_folder(tmp_path)
    people = [box(1, i) for i in (1, 2, 3)]
    others = [{**box(k, i), "score": 1.0} for i in (1, 2, 3) for k in (2, 3, 80)]
    few = evaluate(path, Mean(), boxes=write(tmp_path / "few.json", people))
    with caplog.at_level(logging.WARNING):
        many = evaluate(path, Mean(), boxes=write(tmp_path / "many.json", people + others))
    assert many.metrics == few.metrics
    assert many.people_per_image == 1
    assert "9 of other categories were left out" in caplog.text


# ---- sigmas


def test_sigmas_of_the_data_are_those_of_its_keypoints(tmp_path: Path) -> None:
    own = [0.1] * 17
    path = changed(tmp_path, lambda c: c["categories"][0].update(sigmas=own))
    for dataset in (read(path), KeypointDataset.load(path)):
        assert dataset.skeleton is not None
        assert dataset.skeleton.name == "coco17"
        assert dataset.skeleton.sigmas == tuple(own)
    path = changed(tmp_path, own_names(sigmas=[0.1, 0.2, 0.3, 0.4]))
    skeleton = read(path).skeleton
    assert skeleton is not None
    assert skeleton.sigmas == (0.1, 0.2, 0.3, 0.4)


@pytest.mark.parametrize("sigmas", [[0.1], [0] * 17, "0.1", [None] * 17, [float("nan")] * 17])
def test_sigmas_that_do_not_fit(tmp_path: Path, sigmas: Any) -> None:
    path = changed(tmp_path, lambda c: c["categories"][0].update(sigmas=sigmas))
    assert kinds(path) == {"unusable-sigmas": 1}
    with pytest.raises(InputError, match="sigmas of person are not 17 positive numbers"):
        read(path)
