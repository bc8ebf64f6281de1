import json

import cv2
import numpy as np
import pytest
from annotated import coco_content, coco_folder, person, write, write_image

from rtmpose.datasets import KeypointDataset, read
from rtmpose.datasets.check import check, drawable
from rtmpose.datasets.check_report import ISSUE_KINDS
from rtmpose.datasets.contact_sheet import (
    annotated_poses,
    contact_sheet,
    draw_annotations,
    save_image,
)
from rtmpose.datasets.formats import read_annotations
from rtmpose.datasets.image_hash import difference_hash, inspect_images, near_duplicates
from rtmpose.datasets.left_right_swaps import find_left_right_swaps, mirrored_faces, swap_left_right
from rtmpose.errors import InputError, OutputError
from rtmpose.skeletons import get_skeleton
from rtmpose.sources import read_image


def _found(path, **options):
    return {f.kind: f for f in check(read_annotations(path), **options).issues}


def test_a_sound_set_has_no_faults(tmp_path):
    report = check(read_annotations(coco_folder(tmp_path)))
    assert report.issues == ()
    assert report.errors == 0
    assert (report.images, report.annotations, report.labeled) == (3, 3, 3)
    assert report.keypoint_set == "coco17"
    assert set(report.points.values()) == {3}
    assert json.loads(json.dumps(report.to_dict()))["errors"] == 0


def image(index, **fields):
    """A change of an image entry."""
    return lambda content: content["images"][index].update(fields)


def another_image(**fields):
    """An entry like the first image's, changed."""
    return lambda content: content["images"].append({**content["images"][0], **fields})


def instance(**fields):
    """A change of the second annotation."""
    return lambda content: content["annotations"][1].update(fields)


def keypoint_value(index, value):
    """A change of one of the keypoint numbers of the second annotation."""
    return lambda content: content["annotations"][1]["keypoints"].__setitem__(index, value)


def without(index, field):
    """An annotation without a field."""
    return lambda content: content["annotations"][index].pop(field)


def never_labeled(content):
    for annotation in content["annotations"]:
        annotation["keypoints"][5] = 0


def same_instance_twice(content):
    content["annotations"].append({**content["annotations"][0], "id": 8})


# What is done to a sound set of three, the kind of issue, and what its one example names.
BREAKS = [
    (lambda c: c["images"].append({"id": 7}), "broken-image-entry", "file_name"),
    (another_image(file_name="x.png"), "duplicate-image-id", "x.png"),
    (without(0, "image_id"), "broken-annotation", "image_id"),
    (lambda c: c["annotations"][0].update(image_id=99), "annotation-without-image", "image 99"),
    (instance(id=10), "duplicate-annotation-id", "annotation 10"),
    (instance(category_id=5), "unknown-category", "category 5"),
    (instance(bbox=[1, 2, float("nan"), 4]), "box-not-numbers", "annotation 20"),
    (instance(bbox=[1, 2, 3]), "box-not-numbers", "annotation 20"),
    (instance(bbox=["a", 2, 3, 4]), "box-not-numbers", "annotation 20"),
    (instance(bbox=7), "box-not-numbers", "7"),
    (instance(bbox=[[1], [2], [3], [4]]), "box-not-numbers", "annotation 20"),
    (without(1, "bbox"), "box-not-numbers", "None"),
    (instance(bbox=[5, 4, 30, 0]), "box-without-area", "annotation 20"),
    (instance(bbox=[70, 4, 30, 36]), "box-outside-image", "64 x 48"),
    (instance(bbox=[5, 4, 90, 36]), "box-past-edge", "64 x 48"),
    (instance(keypoints=person(16)), "wrong-keypoint-count", "48 values, not 51"),
    (keypoint_value(3, float("inf")), "keypoints-not-numbers", "20"),
    (keypoint_value(3, "4"), "keypoints-not-numbers", "20"),
    (instance(keypoints="left_eye"), "keypoints-not-numbers", "left_eye"),
    (keypoint_value(5, 7), "wrong-visibility", "v = 7"),
    (keypoint_value(0, -9), "point-outside-image", "(-9"),
    (instance(bbox=[5, 4, 8, 8]), "points-outside-boxes", "box (5, 4, 8, 8)"),
    (instance(num_keypoints=3), "wrong-num-keypoints", "says 3, has 17"),
    (instance(keypoints=[0] * 51), "without-keypoints", "annotation 20"),
    (without(1, "keypoints"), "without-keypoints", "annotation 20"),
    (same_instance_twice, "duplicate-instance", "annotation 8"),
    (lambda c: c["annotations"].pop(), "image-without-annotation", "3.png"),
    (another_image(id=4), "duplicate-file", "1.png"),
    (image(2, file_name="gone.png"), "missing-image", "gone.png"),
    (image(2, width=48, height=64), "wrong-image-size", "64 x 48, not 48 x 64"),
    (never_labeled, "keypoint-never-labeled", "left_eye"),
    (
        lambda c: c["categories"].append({"id": 2, "name": "cat"}),
        "category-without-instance",
        "cat",
    ),
    (lambda c: c.update(annotations=[]), "nothing-labeled", "3 images"),
]


@pytest.mark.parametrize(
    ("change", "kind", "example"),
    BREAKS,
    ids=[f"{b[1]}-{i}" for i, b in enumerate(BREAKS)],
)
def test_each_issue_is_found(tmp_path, change, kind, example):
    path = coco_folder(tmp_path)
    content = json.loads(path.read_text())
    change(content)
    issue = _found(write(path, content))[kind]
    assert issue.count == 1
    assert example in issue.examples[0]
    assert issue.severity == ISSUE_KINDS[kind].severity


def test_class_of_one_image(tmp_path):
    path = coco_folder(tmp_path)
    content = json.loads(path.read_text())
    content["categories"].append({**content["categories"][0], "id": 2, "name": "cat"})
    content["annotations"][0]["category_id"] = 2
    found = _found(write(path, content))
    assert found["category-in-one-image"].examples == ("cat",)
    assert "category-without-instance" not in found


def test_stray_points_are_a_note_where_they_are_few(tmp_path):
    path = coco_folder(tmp_path, 5)
    content = json.loads(path.read_text())
    content["annotations"][0]["bbox"] = [5, 4, 8, 8]
    found = _found(write(path, content))
    assert found["point-far-from-box"].severity == "note"
    assert "points-outside-boxes" not in found


def test_damaged_pictures(tmp_path):
    path = coco_folder(tmp_path, 4)
    folder = tmp_path / "images"
    image = read_image(folder / "1.png")
    for name, data in (
        ("2.png", cv2.imencode(".jpg", image)[1].tobytes()[:400]),
        ("3.png", b"no image"),
        ("4.png", b""),
    ):
        (folder / name).write_bytes(data)
    issue = _found(path)["unreadable-image"]
    assert issue.severity == "error"
    assert issue.count == 3
    assert "cut short" in issue.examples[0]
    assert "unreadable-image" not in _found(path, open_images=False)


def test_many_faults_at_once_are_all_counted(tmp_path):
    path = coco_folder(tmp_path, 8)
    content = json.loads(path.read_text())
    for a in content["annotations"]:
        a["bbox"][2] = 0
    report = check(read_annotations(write(path, content)))
    issue = report.issues[0]
    assert (issue.kind, issue.count, len(issue.examples), len(issue.ids)) == (
        "box-without-area",
        8,
        5,
        8,
    )
    assert report.errors >= 1


def test_content_that_is_hardly_there(tmp_path):
    content = {"images": [], "annotations": [], "categories": []}
    report = check(read_annotations(write(tmp_path / "a.json", content)))
    assert [f.kind for f in report.issues] == ["nothing-labeled"]


# ---- duplicates
# --------------------------------------------------------------------------------------------


def test_hash_survives_scaling_and_compression_and_tells_photos_apart(shared):
    dataset = read(shared / "data" / "coco_val_subset")
    paths = dict(list(dataset.images.items())[:40])
    images = inspect_images(paths)
    assert near_duplicates(images) == []
    for i in list(paths)[:15]:
        image = read_image(paths[i])
        small = cv2.resize(image, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA)
        again = difference_hash(
            cv2.imdecode(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 60])[1], 1)
        )
        apart = sum(
            bin(int(a) ^ int(b)).count("1") for a, b in zip(images[i].hash, again, strict=True)
        )
        assert apart <= 24


def test_flat_pictures_are_not_compared():
    assert difference_hash(np.full((40, 60, 3), 128, np.uint8)) is None


def test_duplicates_within_and_between_splits(tmp_path):
    first, second = coco_folder(tmp_path / "a", 4), coco_folder(tmp_path / "b", 4, seed=100)
    image = read_image(tmp_path / "a" / "images" / "2.png")
    cv2.imwrite(str(tmp_path / "a" / "images" / "4.png"), image)
    bigger = cv2.resize(image, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(tmp_path / "b" / "images" / "3.png"), bigger)
    progress = []
    report = check(
        read_annotations(first),
        against=read_annotations(second),
        on_progress=lambda *step: progress.append(step),
    )
    found = {f.kind: f for f in report.issues}
    assert found["near-duplicate"].count == 1
    assert "4.png and 2.png" in found["near-duplicate"].examples[0]
    assert found["in-both-splits"].count == 2
    assert found["in-both-splits"].severity == "error"
    assert (
        found["same-name-in-both-splits"].count == 2
    )  # 1.png and 3.png: the same names, other images
    assert progress[-1] == (8, 8)


# ---- left and right
# ----------------------------------------------------------------------------------------


def _mice(n=60, seed=0):
    """Mice seen from above in all directions: the ears lie on fixed sides of the way from snout to
    tail.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        shape = np.array([[0, -10], [-3, -7], [3, -7], [0, 9]]) + rng.normal(0, 0.6, (4, 2))
        angle = rng.uniform(0, 2 * np.pi)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        xy = shape @ turn.T * rng.uniform(0.5, 3) + rng.uniform(0, 100, 2)
        rows.append(
            {"id": i + 1, "image_id": i + 1, "keypoints": [float(c) for p in xy for c in (*p, 2)]}
        )
    return rows


@pytest.fixture
def mouse(tmp_path):
    content = {
        "images": [{"id": 1, "file_name": "1.png"}],
        "annotations": [],
        "categories": [{"id": 1}],
    }
    content["categories"][0] |= {
        "name": "mouse",
        "keypoints": ["snout", "left_ear", "right_ear", "tail"],
    }
    content["annotations"] = [{**_mice(1)[0], "category_id": 1, "bbox": [0, 0, 9, 9]}]
    return read(write(tmp_path / "mouse.json", content)).skeleton


def test_swapped_ears_are_found_in_any_direction(mouse):
    rows = _mice()
    bad = {5, 17, 40}
    for a in rows:
        if a["id"] in bad:
            a["keypoints"] = swap_left_right(a["keypoints"], mouse)
    sides = find_left_right_swaps(rows, mouse)
    assert set(sides.suspects) == bad
    assert sides.accuracy == pytest.approx(57 / 60)


def test_nothing_is_said_about_small_sets_or_sets_without_sides(mouse):
    assert find_left_right_swaps(_mice(19), mouse) is None
    assert find_left_right_swaps(_mice(), get_skeleton("hand21")) is None
    blind = [{**a, "keypoints": [0.0] * 12} for a in _mice()]
    assert find_left_right_swaps(blind, mouse) is None


def test_no_suspects_where_the_set_says_nothing(mouse):
    """Ears on either side by chance: there is no rest of the set to agree with."""
    rng = np.random.default_rng(1)
    rows = [
        {**a, "keypoints": swap_left_right(a["keypoints"], mouse)} if rng.random() < 0.5 else a
        for a in _mice(80)
    ]
    sides = find_left_right_swaps(rows, mouse)
    assert sides.accuracy < 0.8
    assert sides.suspects == ()


def test_people_that_were_swapped_are_found_among_genuine_ones(shared):
    """On 750 COCO people: a third or more of the swapped ones (many cannot be told), few others."""
    dataset = read(shared / "data" / "coco_val_subset")
    rows = [a for i in dataset.images for a in dataset.labeled(i)]
    rng = np.random.default_rng(1)
    bad = {rows[i]["id"] for i in rng.choice(len(rows), 25, replace=False)}
    mixed = [
        {**a, "keypoints": swap_left_right(a["keypoints"], dataset.skeleton)}
        if a["id"] in bad
        else a
        for a in rows
    ]
    sides = find_left_right_swaps(mixed, dataset.skeleton)
    found = set(sides.suspects)
    assert sides.accuracy > 0.75
    assert len(found & bad) >= 7
    assert len(found - bad) <= 8


def test_faces_that_were_swapped_are_found(shared):
    folder = shared / "data" / "tasks" / "face" / "ytf68_train"
    if not folder.is_dir():
        pytest.skip("needs the samples of other tasks")
    dataset = read(folder, skeleton="300w68")
    rows = [a for i in dataset.images for a in dataset.labeled(i)]
    bad = {rows[i]["id"] for i in (3, 50, 99, 200)}
    mixed = [
        {**a, "keypoints": swap_left_right(a["keypoints"], dataset.skeleton)}
        if a["id"] in bad
        else a
        for a in rows
    ]
    assert set(find_left_right_swaps(mixed, dataset.skeleton).suspects) == bad
    assert mirrored_faces(rows, dataset.skeleton) == (0.0, 240)
    wrong = [{**a, "keypoints": swap_left_right(a["keypoints"], dataset.skeleton)} for a in rows]
    assert mirrored_faces(wrong, dataset.skeleton) == (1.0, 240)


def test_a_whole_set_the_wrong_way_round(tmp_path, shared):
    path = shared / "data" / "coco_val_subset" / "person_keypoints.json"
    content = json.loads(path.read_text())
    skeleton = get_skeleton("coco17")
    for a in content["annotations"]:
        a["keypoints"] = swap_left_right(a["keypoints"], skeleton)
    found = _found(write(tmp_path / "a.json", content), open_images=False)
    assert found["all-left-right-swapped"].severity == "error"
    assert "faces seen from the front" in found["all-left-right-swapped"].examples[0]
    sound = {f.kind for f in check(read_annotations(path), open_images=False).issues}
    assert "all-left-right-swapped" not in sound


@pytest.mark.parametrize("name", ["coco17", "lapa106", "rhd21", "halpe136"])
def test_swapping_twice_changes_nothing(name):
    skeleton = get_skeleton(name)
    flat = person(len(skeleton), seed=3)
    assert swap_left_right(swap_left_right(flat, skeleton), skeleton) == flat
    assert (swap_left_right(flat, skeleton) == flat) == (name == "rhd21")


# ---- sheets
# ------------------------------------------------------------------------------------------------


def test_contact_sheet_shows_the_points_in_their_places(tmp_path):
    """A white dot is drawn where the image has one: black image, one bright pixel block under a
    label.
    """
    image = np.zeros((48, 64, 3), np.uint8)
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "1.png"), image)
    content = coco_content(1)
    content["annotations"][0]["keypoints"] = [20.0, 22.0, 2] + [0] * 48
    dataset = read(write(tmp_path / "a.json", content))
    sheet = contact_sheet(dataset)
    assert sheet.shape == (258, 240, 3)
    # Box 5..35 x 4..40 with a quarter around it: 45 pixels onto 240, centered at (20, 22).
    assert sheet[120, 120].max() > 100
    assert sheet[60, 60].max() < 60
    poses = annotated_poses(dataset, dataset.labeled(1))
    np.testing.assert_array_equal(poses.scores[0], [1.0] + [0.0] * 16)


def test_contact_sheet_marks_and_counts(tmp_path):
    dataset = read(coco_folder(tmp_path, 5))
    sheet = contact_sheet(dataset, columns=2, highlighted={30: "odd"})
    assert sheet.shape == (3 * 258, 480, 3)
    red = (sheet[..., 2] > 200) & (sheet[..., 0] < 100) & (sheet[..., 1] < 100)
    assert red[:240, :240].sum() > 1500  # the marked one comes first
    assert contact_sheet(dataset, count=1).shape == (258, 240, 3)
    (tmp_path / "images" / "1.png").write_bytes(b"broken")
    assert contact_sheet(dataset, columns=4).shape == (258, 960, 3)
    empty = KeypointDataset.from_content(
        {**coco_content(1), "annotations": []}, None, tmp_path / "a.json"
    )
    with pytest.raises(InputError, match="no labeled instance"):
        contact_sheet(empty)


def test_drawable_leaves_out_what_is_broken(tmp_path):
    path = coco_folder(tmp_path, 4)
    content = json.loads(path.read_text())
    content["annotations"][0]["bbox"] = None
    content["annotations"][1]["image_id"] = 77
    content["annotations"][2]["keypoints"] = [1, 2]
    dataset = drawable(read_annotations(write(path, content)))
    assert [a["id"] for i in dataset.images for a in dataset.labeled(i)] == [40]
    assert draw_annotations(dataset, 4).shape == (48, 64, 3)


def test_pictures_are_written_whole(tmp_path):
    image = np.zeros((4, 4, 3), np.uint8)
    save_image(tmp_path / "deep" / "a.png", image)
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["a.png"]
    with pytest.raises(OutputError, match="does not have the suffix of an image"):
        save_image(tmp_path / "a.txt", image)
    write(tmp_path / "file", "x")
    with pytest.raises(OutputError, match="cannot be written"):
        save_image(tmp_path / "file" / "a.png", image)


def test_pictures_turned_by_exif_have_their_upright_size(tmp_path):
    """Annotations made on the raw pixels of a phone's photo do not fit what a training sees."""
    plain = cv2.imencode(".jpg", read_image(write_image(tmp_path / "x.png")))[1].tobytes()
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    turned = plain[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + plain[2:]
    path = coco_folder(tmp_path)
    content = json.loads(path.read_text())
    content["images"][0]["file_name"] = "1.jpg"
    (tmp_path / "images" / "1.jpg").write_bytes(turned)
    issue = _found(write(path, content))["wrong-image-size"]
    assert issue.examples == ("1.jpg: 48 x 64, not 64 x 48",)
