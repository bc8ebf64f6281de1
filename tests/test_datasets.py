import json
import logging

import numpy as np
import pytest
from annotated import coco_content, coco_folder, person, write, write_image
from hypothesis import given, settings
from hypothesis import strategies as st

from rtmpose.datasets import KeypointDataset, read
from rtmpose.datasets.annotation_repair import box_around
from rtmpose.datasets.category_skeletons import skeleton_from_category
from rtmpose.datasets.formats import detect_format
from rtmpose.errors import InputError, ModelError
from rtmpose.skeletons import get_skeleton

# ---- the set itself
# ----------------------------------------------------------------------------------------


def test_coco_folder_is_read(tmp_path):
    path = coco_folder(tmp_path)
    for data in (path, tmp_path):
        dataset = KeypointDataset.load(data)
        assert dataset.skeleton is get_skeleton("coco17")
        assert list(dataset.images) == [1, 2, 3]
        assert all(p.is_file() for p in dataset.images.values())
        assert dataset.keypoints(1).shape == (1, 17, 3)
        np.testing.assert_allclose(dataset.boxes(2), [[5, 4, 35, 40]])


@pytest.mark.parametrize(
    ("written", "lies"),
    [
        ("1.png", "images/1.png"),
        ("images/1.png", "images/1.png"),
        ("images\\default\\1.png", "images/default/1.png"),
        ("../../label-studio/data/media/upload/4/1.png", "images/1.png"),
        ("/somewhere/else/upload/1.png", "images/1.png"),
        ("C:\\Users\\me\\photos\\1.png", "images/1.png"),
        ("photos/1.png", "../photos/1.png"),
        ("1.png", "../val2017/1.png"),
        ("HumanArt/images/real/1.png", "real/1.png"),
    ],
)
def test_images_are_found_however_tools_write_their_names(tmp_path, written, lies):
    folder = tmp_path / "set" / "annotations"
    content = coco_content(1)
    content["images"][0]["file_name"] = written
    path = write(folder / "person_keypoints_val2017.json", content)
    write_image(folder / lies)
    assert KeypointDataset.load(path).images[1].is_file()


def test_given_folder_of_images_is_used(tmp_path):
    path = write(tmp_path / "a.json", coco_content(1))
    write_image(tmp_path / "elsewhere" / "1.png")
    assert (
        KeypointDataset.load(path, tmp_path / "elsewhere").images[1]
        == tmp_path / "elsewhere" / "1.png"
    )
    assert not KeypointDataset.load(path).images[1].is_file()


def test_missing_fields_are_completed_and_the_content_is_not_changed():
    content = coco_content(2)
    for a in content["annotations"]:
        del a["num_keypoints"], a["area"], a["iscrowd"]
    before = json.dumps(content)
    dataset = KeypointDataset.from_content(content, None, "a.json")
    a = dataset.annotations[1][0]
    assert (a["num_keypoints"], a["iscrowd"]) == (17, 0)
    assert a["area"] == pytest.approx(0.53 * 30 * 36)
    assert json.dumps(content) == before
    assert dataset.content["annotations"][0] is a


def test_damaged_numbers_are_mended_with_a_warning(caplog):
    content = coco_content(4)
    first, second, third, fourth = content["annotations"]
    first["keypoints"][0] = float("nan")
    second["bbox"] = [5.0, 4.0, 0.0, 36.0]
    third["bbox"] = [float("nan"), 4.0, 3.0, 36.0]
    fourth["bbox"], fourth["keypoints"] = [1, 1, 0, 0], [3.0, 4.0, 2.0] + [0] * 48
    with caplog.at_level(logging.WARNING):
        dataset = KeypointDataset.from_content(content, None, "a.json")
    assert "4 annotations are damaged" in caplog.text
    assert "rtmpose data check" in caplog.text
    a = dataset.annotations[1][0]
    assert a["keypoints"][:3] == [0, 0, 0]
    assert a["num_keypoints"] == 16
    for i in (2, 3):
        np.testing.assert_allclose(
            dataset.annotations[i][0]["bbox"],
            box_around(content["annotations"][i - 1]["keypoints"]),
        )
    assert dataset.labeled(4) == []
    assert all(np.isfinite(dataset.keypoints(i)).all() for i in dataset.images)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["annotations"][0].update(image_id=99), "99"),
        (lambda c: c["annotations"][0].pop("image_id"), "image_id"),
        (
            lambda c: c["annotations"][1].update(keypoints=[1, 2, 2]),
            "annotation 20 has 3 keypoint numbers, not 51",
        ),
        (
            lambda c: c["annotations"][1].update(keypoints=["x"] * 51),
            "annotation 20 does not hold numbers",
        ),
        (lambda c: c["images"][0].pop("file_name"), "file_name"),
        (lambda c: c.pop("categories"), "categories"),
    ],
)
def test_broken_structure_is_refused(tmp_path, change, message):
    content = coco_content(2)
    change(content)
    path = write(tmp_path / "a.json", content)
    with pytest.raises(InputError, match=message) as error:
        KeypointDataset.load(path)
    assert "a.json" in str(error.value)


def test_files_that_are_no_annotations(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read(tmp_path / "nothing.json")
    with pytest.raises(InputError, match="not valid JSON"):
        read(write(tmp_path / "a.json", "{oh"))
    with pytest.raises(InputError, match="known annotation formats"):
        read(write(tmp_path / "b.json", [1, 2]))
    with pytest.raises(InputError, match="not a COCO keypoint set"):
        read(write(tmp_path / "c.json", {"images": []}), "coco")
    with pytest.raises(InputError, match="there is no annotation format 'cocoa'"):
        read(tmp_path / "a.json", "cocoa")
    folder = tmp_path / "two"
    write(folder / "x.json", {})
    write(folder / "y.json", {})
    with pytest.raises(InputError, match=r"x\.json, y\.json"):
        read(folder)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.floats(-500, 500, width=32),
            st.floats(-500, 500, width=32),
            st.sampled_from([0, 1, 2]),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_box_around_holds_the_labeled_points_and_nothing_more(points):
    x, y, w, h = box_around([v for p in points for v in p])
    seen = np.array([p[:2] for p in points if p[2]]).reshape(-1, 2)
    if not len(seen):
        assert (x, y, w, h) == (0, 0, 0, 0)
        return
    np.testing.assert_allclose([x, y], seen.min(axis=0))
    np.testing.assert_allclose([x + w, y + h], seen.max(axis=0), atol=1e-9)


# ---- COCO and its relatives
# --------------------------------------------------------------------------------


def test_category_of_another_tool(tmp_path):
    """CVAT lists categories without keypoints too, with attributes in the annotations."""
    content = coco_content(1)
    content["categories"] = [
        {"id": 1, "name": "car", "supercategory": ""},
        {
            "id": 2,
            "name": "mouse",
            "keypoints": ["snout", "leftear", "rightear", "tail"],
            "skeleton": [[1, 2], [1, 3]],
        },
    ]
    a = content["annotations"][0]
    a.update(
        category_id=2,
        keypoints=person(4),
        attributes={"occluded": False, "keyframe": True},
        segmentation=[],
    )
    content["annotations"].append(
        {
            "id": 11,
            "image_id": 1,
            "category_id": 1,
            "bbox": [1, 1, 5, 5],
            "area": 25,
            "iscrowd": 0,
            "segmentation": [],
        }
    )
    dataset = read(write(tmp_path / "instances_default.json", content))
    assert dataset.keypoint_names == ("snout", "leftear", "rightear", "tail")
    skeleton = dataset.skeleton
    assert skeleton is not None
    assert skeleton.flip_indices == (0, 2, 1, 3)
    assert skeleton.sides == ("center", "left", "right", "center")
    assert skeleton.links == ((0, 1), (0, 2))
    assert len(dataset.labeled(1)) == 1
    assert len(dataset.annotations[1]) == 2


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("left_eye", "right_eye"),
        ("Eye_Left", "Eye_Right"),
        ("L_Eye", "R_Eye"),
        ("eye.l", "eye.r"),
        ("forelegL1", "forelegR1"),
        ("leftear", "rightear"),
    ],
)
def test_left_and_right_by_name(left, right):
    skeleton = skeleton_from_category({"keypoints": ["nose", left, right]}, 3)
    assert skeleton.flip_indices == (0, 2, 1)
    assert skeleton.sides == ("center", "left", "right")


def test_names_that_only_look_like_sides():
    assert skeleton_from_category(
        {"keypoints": ["bright", "copyright", "left"]}, 3
    ).flip_indices == (0, 1, 2)


def test_own_keypoints_from_toml(tmp_path):
    toml = write(
        tmp_path / "mouse.toml",
        'name = "mouse4"\nkeypoints = ["snout", "l", "r", "tail"]\nflip = [["l", "r"]]\n',
    )
    content = coco_content(1)
    content["categories"][0]["keypoints"] = []
    content["annotations"][0]["keypoints"] = person(4)
    path = write(tmp_path / "a.json", content)
    assert read(path, "coco").skeleton.name == "points-4"
    dataset = read(path, "coco", skeleton=toml)
    assert dataset.skeleton is not None
    assert dataset.skeleton.name == "mouse4"
    assert dataset.keypoint_names == ("snout", "l", "r", "tail")
    with pytest.raises(InputError, match="12 keypoint numbers, not 51"):
        read(path, "coco", skeleton="coco17")
    with pytest.raises(InputError, match="cannot read the keypoint set"):
        read(path, "coco", skeleton=tmp_path / "none.toml")
    with pytest.raises(ModelError, match="not valid"):
        read(path, "coco", skeleton=write(tmp_path / "bad.toml", "name = 3"))


def test_wholebody_parts_are_put_together(tmp_path):
    content = coco_content(1)
    a = content["annotations"][0]
    a |= {
        "foot_kpts": [1.5, 2, 2] * 6,
        "face_kpts": [3, 4, 0.7] * 68,
        "lefthand_kpts": [5, 6, 1.0] * 21,
        "righthand_kpts": [7, 8, 1.0] * 21,
        "foot_valid": True,
        "face_valid": True,
        "lefthand_valid": False,
        "righthand_valid": True,
        "face_box": [1, 2, 3, 4],
    }
    path = write(tmp_path / "a.json", content)
    assert detect_format(path).format == "coco-wholebody"
    dataset = read(path)
    points = dataset.keypoints(1)[0]
    assert dataset.skeleton is get_skeleton("coco-wholebody133")
    np.testing.assert_allclose(points[:17], np.reshape(a["keypoints"], (17, 3)), rtol=1e-6)
    np.testing.assert_allclose(points[17:23], [[1.5, 2, 2]] * 6)
    np.testing.assert_allclose(points[23:91], [[3, 4, 1]] * 68)
    np.testing.assert_allclose(points[91:112], 0)
    np.testing.assert_allclose(points[112:], [[7, 8, 1]] * 21)
    annotation = dataset.annotations[1][0]
    assert annotation["num_keypoints"] == 17 + 6 + 68 + 21
    assert "face_kpts" not in annotation
    assert annotation["face_box"] == [1, 2, 3, 4]


def test_humanart_has_two_sets_of_points(tmp_path):
    content = coco_content(1, "humanart21")
    a = content["annotations"][0]
    a["keypoints_21"], a["keypoints"] = a["keypoints"], a["keypoints"][:51]
    path = write(tmp_path / "a.json", content)
    assert read(path).skeleton is get_skeleton("coco17")
    full = read(path, "humanart21")
    assert full.skeleton is get_skeleton("humanart21")
    np.testing.assert_allclose(full.keypoints(1)[0].ravel(), a["keypoints_21"], rtol=1e-6)


def test_posetrack_folder_of_videos_becomes_one_set(tmp_path):
    for video in (1, 2):
        content = coco_content(2, "posetrack18")
        for image in content["images"]:
            image["id"] += 100 * video
        for a in content["annotations"]:
            a["image_id"] += 100 * video
            a["id"] += 1000 * video
        write(tmp_path / "val" / f"00{video}_mpii_test.json", content)
    dataset = read(tmp_path / "val")
    assert list(dataset.images) == [101, 102, 201, 202]
    assert dataset.skeleton is get_skeleton("posetrack18")


def test_center_and_scale_become_the_box(tmp_path):
    content = coco_content(1, "wflw98")
    content["annotations"][0] |= {"center": [30.5, 20.0], "scale": 0.2}
    content["categories"][0]["keypoints"] = []
    dataset = read(write(tmp_path / "a.json", content))
    assert dataset.skeleton is get_skeleton("wflw98")
    np.testing.assert_allclose(dataset.annotations[1][0]["bbox"], [10.5, 0, 40, 40])


def test_wholebody_annotations_without_a_part_are_named(tmp_path):
    content = coco_content(2)
    for annotation in content["annotations"]:
        annotation["foot_kpts"] = [0] * 18
    path = write(tmp_path / "a.json", content)
    with pytest.raises(InputError, match="51 keypoint numbers, not 399"):
        read(path, "coco-wholebody")
