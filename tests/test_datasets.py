import json
import logging
from pathlib import Path

import numpy as np
import pytest
from annotated import coco_content, coco_folder, person, picture, write
from hypothesis import given, settings
from hypothesis import strategies as st

from rtmpose.datasets import FORMATS, KeypointDataset, read, read_image_folder
from rtmpose.datasets.annotation_repair import box_around
from rtmpose.datasets.category_skeletons import skeleton_from_category
from rtmpose.datasets.coco import save_coco
from rtmpose.datasets.formats import detect_format
from rtmpose.datasets.image_size import image_size
from rtmpose.datasets.simple_yaml import read_simple_yaml
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
    picture(folder / lies)
    assert KeypointDataset.load(path).images[1].is_file()


def test_given_folder_of_images_is_used(tmp_path):
    path = write(tmp_path / "a.json", coco_content(1))
    picture(tmp_path / "elsewhere" / "1.png")
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
    assert read(path, "coco").skeleton is None
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


# ---- formats that are not COCO
# -----------------------------------------------------------------------------


def test_mpii_list(tmp_path):
    joints = [[10.0 + i, 20.0 + i] for i in range(16)]
    joints[6] = [-1, -1]
    entry = {
        "image": "1.png",
        "center": [30.0, 25.0],
        "scale": 0.2,
        "joints": joints,
        "joints_vis": [1] * 16,
    }
    entry["joints_vis"][6] = 0
    picture(tmp_path / "images" / "1.png")
    other = {**entry, "center": [40.0, 25.0]}
    dataset = read(write(tmp_path / "mpii.json", [entry, other]))
    assert dataset.skeleton is get_skeleton("mpii16")
    points = dataset.keypoints(1)
    assert points.shape == (2, 16, 3)
    np.testing.assert_allclose(points[0, 0], [9, 19, 2])
    np.testing.assert_allclose(points[0, 6], 0)
    # 40 pixels wide, 3 pixels (15 x scale) lower, one pixel less for counting from 0
    np.testing.assert_allclose(
        dataset.annotations[1][0]["bbox"], [30 - 1 - 20, 25 + 3 - 1 - 20, 40, 40]
    )
    assert dataset.content["images"][0]["width"] == 64
    with pytest.raises(InputError, match="list of MPII people"):
        read(write(tmp_path / "bad.json", [{"joints": [[1, 2]]}]))


def test_ai_challenger_as_published(tmp_path):
    flat = [v for i in range(14) for v in (10 + i, 20 + i, 1 + i % 3)]
    picture(tmp_path / "images" / "abc.jpg")
    content = [
        {"image_id": "abc", "url": "", "human_annotations": {"human1": [5, 6, 35, 46]},
         "keypoint_annotations": {"human1": flat}}
    ]  # fmt: skip
    dataset = read(write(tmp_path / "a.json", content))
    points = dataset.keypoints(1)[0]
    np.testing.assert_allclose(points[:3], [[10, 20, 2], [11, 21, 1], [0, 0, 0]])
    np.testing.assert_allclose(dataset.boxes(1), [[5, 6, 35, 46]])
    assert dataset.images[1].is_file()
    with pytest.raises(InputError, match="AI Challenger"):
        read(
            write(
                tmp_path / "bad.json",
                [{"image_id": "abc", "human_annotations": {}, "keypoint_annotations": 3}],
            )
        )


def test_lapa_as_published(tmp_path):
    picture(tmp_path / "images" / "7_0.jpg")
    lines = [f"{i}.5 {2 * i}" for i in range(106)]
    write(tmp_path / "landmarks" / "7_0.txt", "\n".join(["106", *lines]))
    dataset = read(tmp_path)
    np.testing.assert_allclose(dataset.keypoints(1)[0, 3], [3.5, 6, 2])
    np.testing.assert_allclose(dataset.boxes(1), [[0.5, 0, 105.5, 210]])
    assert dataset.images[1].is_file()
    write(tmp_path / "landmarks" / "7_0.txt", "\n".join(["106", *lines[:-1]]))
    with pytest.raises(InputError, match=r"7_0\.txt should hold 106 points"):
        read(tmp_path)
    write(tmp_path / "landmarks" / "7_0.txt", "\n".join(["106", "1 x", *lines[1:]]))
    with pytest.raises(InputError, match=r"7_0\.txt, line 2"):
        read(tmp_path)


def test_wflw_as_published(tmp_path):
    picture(tmp_path / "WFLW_images" / "37--Soccer" / "a.jpg")
    values = [f"{v}" for i in range(98) for v in (i + 0.25, i + 0.5)]
    line = " ".join(
        [*values, "1", "2", "51", "62", "0", "0", "0", "0", "0", "0", "37--Soccer/a.jpg"]
    )
    path = write(tmp_path / "WFLW_annotations" / "list" / "test.txt", f"{line}\n")
    dataset = read(path)
    np.testing.assert_allclose(dataset.keypoints(1)[0, 1], [1.25, 1.5, 2])
    np.testing.assert_allclose(dataset.boxes(1), [[1, 2, 51, 62]])
    assert dataset.images[1].is_file()
    with pytest.raises(InputError, match="line 1: 3 words"):
        read(write(tmp_path / "bad.txt", "1 2 3"))


def test_300w_as_published(tmp_path):
    picture(tmp_path / "indoor" / "a.png")
    lines = [f"{i + 1}.0 {i + 2}.0" for i in range(68)]
    write(
        tmp_path / "indoor" / "a.pts", "\n".join(["version: 1", "n_points: 68", "{", *lines, "}"])
    )
    dataset = read(tmp_path)
    np.testing.assert_allclose(dataset.keypoints(1)[0, 0], [0, 1, 2])
    assert dataset.images[1].is_file()
    write(tmp_path / "indoor" / "a.pts", "nothing")
    with pytest.raises(InputError, match=r"not a \.pts file"):
        read(tmp_path)


def test_freihand_as_published(tmp_path):
    camera = [[200.0, 0, 112], [0, 210.0, 110], [0, 0, 1]]
    hand = [[0.1 * i, 0.05, 2.0] for i in range(21)]
    write(tmp_path / "training_xyz.json", [hand, [[0.0, 0, 1]] * 21])
    write(tmp_path / "training_K.json", [camera, camera])
    for i in range(4):
        picture(tmp_path / "training" / "rgb" / f"{i:08d}.jpg", 224, 224)
    dataset = read(tmp_path)
    assert len(dataset.images) == 4
    np.testing.assert_allclose(
        dataset.keypoints(1)[0, 2], [200 * 0.2 / 2 + 112, 210 * 0.05 / 2 + 110, 2], rtol=1e-5
    )
    np.testing.assert_allclose(
        dataset.keypoints(3), dataset.keypoints(1)
    )  # the same hand, another background
    np.testing.assert_allclose(dataset.keypoints(2)[0], [[112, 110, 2]] * 21)
    write(tmp_path / "training_K.json", [camera])
    with pytest.raises(InputError, match="2 hands"):
        read(tmp_path)


def _yolo(folder: Path, line: str, shape="[4, 3]") -> Path:
    for split in ("train", "val"):
        picture(folder / "images" / split / "a.png", 100, 50)
        picture(folder / "images" / split / "empty.png", 100, 50)
        write(folder / "labels" / split / "a.txt", line + "\n")
    yaml = (
        f"path: .\ntrain: images/train\nval: images/val  # held out\nkpt_shape: {shape}\nnames:\n "
        " 0: mouse\n  1: rat\n"
    )
    return write(folder / "data.yaml", yaml)


def test_yolo_labels(tmp_path):
    path = _yolo(tmp_path, "1 0.5 0.5 0.4 0.8 0.3 0.2 2 0.5 0.5 1 0.7 0.9 2 0 0 0")
    dataset = read(path)
    assert len(dataset.images) == 2
    (number,) = (i for i in dataset.images if dataset.labeled(i))
    np.testing.assert_allclose(dataset.boxes(number), [[30, 5, 70, 45]], atol=1e-4)
    np.testing.assert_allclose(
        dataset.keypoints(number)[0], [[30, 10, 2], [50, 25, 1], [70, 45, 2], [0, 0, 0]], atol=1e-4
    )
    assert dataset.annotations[number][0]["category_id"] == 2
    assert [c["name"] for c in dataset.content["categories"]] == ["mouse", "rat"]
    assert dataset.images[number].parent == tmp_path / "images" / "train"
    assert read(path, split="val").images[1].parent.name == "val"
    assert len(read(tmp_path).images) == 4  # without a data.yaml: everything below


def test_yolo_labels_without_visibility(tmp_path):
    path = _yolo(tmp_path, "0 0.5 0.5 0.4 0.8 0.3 0.2 0.5 0.5", "[2, 2]")
    dataset = read(path)
    points = next(dataset.keypoints(i) for i in dataset.images if dataset.labeled(i))
    np.testing.assert_allclose(points[0], [[30, 10, 2], [50, 25, 2]], atol=1e-4)


def test_yolo_labels_that_do_not_fit(tmp_path):
    with pytest.raises(InputError, match="has 8 values, not 17"):
        read(_yolo(tmp_path / "a", "0 0.5 0.5 0.4 0.8 0.3 0.2 2"))
    with pytest.raises(InputError, match=r"a\.txt, line 1"):
        read(_yolo(tmp_path / "b", "0 0.5 0.5 0.4 0.8 ? 0.2 2"))
    write(tmp_path / "c" / "labels" / "a.txt", "0 0 0 0 0")
    with pytest.raises(InputError, match="holds no images"):
        read(tmp_path / "c")


def test_simple_yaml(tmp_path):
    text = (
        "# data\npath: ../mice\nkpt_shape: [4, 3]\nnames: ['mouse', 'rat']\ntest:\n  - a\n  - b\n"
    )
    table = read_simple_yaml(write(tmp_path / "data.yaml", text))
    assert table["kpt_shape"] == [4, 3]
    assert table["names"] == ["mouse", "rat"]
    assert table["path"] == "../mice"
    assert table["test"] == ["a", "b"]


def test_image_folders(tmp_path):
    for name in ("cat/1.png", "cat/deep/2.JPEG", "dog/3.jpg"):
        picture(tmp_path / name)
    write(tmp_path / "cat" / "notes.txt", "hello")
    (tmp_path / ".cache").mkdir()
    folder = read_image_folder(tmp_path)
    assert folder.classes == ("cat", "dog")
    assert [(p.name, label) for p, label in folder.items] == [
        ("1.png", 0),
        ("2.JPEG", 0),
        ("3.jpg", 1),
    ]
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty"):
        read_image_folder(tmp_path)
    with pytest.raises(InputError, match="no class folders"):
        read_image_folder(tmp_path / "dog")
    with pytest.raises(InputError, match="not a folder"):
        read_image_folder(tmp_path / "nothing")


def test_image_size_without_decoding(tmp_path, shared):
    assert image_size(picture(tmp_path / "a.png", 70, 31)) == (70, 31)
    assert image_size(picture(tmp_path / "a.jpg", 70, 31)) == (70, 31)
    assert image_size(tmp_path / "none.jpg") is None
    assert image_size(write(tmp_path / "bad.jpg", "no picture")) is None
    content = json.loads(
        (shared / "data" / "coco_val_subset" / "person_keypoints.json").read_text()
    )
    for image in content["images"][:20]:
        path = shared / "data" / "coco_val_subset" / "images" / image["file_name"]
        assert image_size(path) == (image["width"], image["height"])


# ---- round trips
# -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("skeleton", ["coco17", "jhmdb15", "rhd21", "wflw98", "humanart21"])
def test_what_is_written_is_read_again(tmp_path, skeleton):
    """Also where the format has habits of its own: pixels from 1, boxes from center and scale."""
    content = coco_content(2, skeleton)
    content["annotations"][0] |= {"center": [30.5, 20.0], "scale": 0.2}
    first = read(write(tmp_path / "a.json", content))
    save_coco(first, tmp_path / "deep" / "out.json")
    again = read(tmp_path / "deep" / "out.json")
    assert again.skeleton is first.skeleton is get_skeleton(skeleton)
    for i in first.images:
        np.testing.assert_array_equal(again.keypoints(i), first.keypoints(i))
        np.testing.assert_array_equal(again.boxes(i), first.boxes(i))
        assert again.images[i].name == first.images[i].name


def test_written_file_names_lead_to_the_pictures(tmp_path):
    dataset = read(coco_folder(tmp_path / "set"))
    save_coco(dataset, tmp_path / "elsewhere" / "out.json")
    text = (tmp_path / "elsewhere" / "out.json").read_text()
    assert str(tmp_path) not in text
    assert all(p.is_file() for p in read(tmp_path / "elsewhere" / "out.json").images.values())


# ---- genuine samples
# ---------------------------------------------------------------------------------------

# File, format, keypoint set, instances with keypoints, pictures that are there.
SAMPLES = [
    ("wholebody/coco/test_coco.json", "coco", "coco17", 12, 4),
    ("wholebody/coco/test_coco_wholebody.json", "coco-wholebody", "coco-wholebody133", 12, 4),
    (
        "wholebody/coco/test_keypoint_partition_metric.json",
        "coco-wholebody",
        "coco-wholebody133",
        12,
        4,
    ),
    (
        "wholebody/coco_wholebody_example/coco_wholebody.json",
        "coco-wholebody",
        "coco-wholebody133",
        24,
        5,
    ),
    ("body_other/halpe/test_halpe.json", "halpe", "halpe136", 12, 0),
    ("body_other/aic/test_aic.json", "aic", "aic14", 9, 3),
    ("body_other/crowdpose/test_crowdpose.json", "crowdpose", "crowdpose14", 4, 2),
    ("body_other/mpii/test_mpii.json", "mpii", "mpii16", 5, 5),
    ("body_other/jhmdb/test_jhmdb_sub1.json", "jhmdb", "jhmdb15", 3, 3),
    (
        "body_other/posetrack18/annotations/test_posetrack18_val.json",
        "posetrack18",
        "posetrack18",
        14,
        3,
    ),
    ("body_other/ochuman/test_ochuman.json", "coco", "coco17", 5, 3),
    ("body_other/humanart/test_humanart.json", "humanart", "coco17", 4, 1),
    ("animal/ap10k/test_ap10k.json", "ap10k", "ap10k17", 2, 2),
    ("animal/openfield_mouse/keypoints.json", "coco", "mouse", 116, 116),
    ("face/lapa/test_lapa.json", "lapa", "lapa106", 2, 2),
    ("face/wflw/test_wflw.json", "wflw", "wflw98", 4, 2),
    ("face/300w/test_300w.json", "300w", "300w68", 2, 2),
    ("face/cofw/test_cofw.json", "cofw", "cofw29", 2, 2),
    ("face/aflw/test_aflw.json", "aflw", "aflw19", 2, 2),
    ("hand/freihand/test_freihand.json", "freihand", "hand21", 8, 8),
    ("hand/onehand10k/test_onehand10k.json", "coco", "hand21", 4, 4),
    ("hand/panoptic/test_panoptic.json", "coco", "hand21", 4, 4),
    ("hand/rhd/test_rhd.json", "rhd", "rhd21", 3, 3),
]


@pytest.fixture(scope="session")
def tasks(shared):
    folder = shared / "data" / "tasks"
    if not folder.is_dir():
        pytest.skip("needs the samples of other tasks")
    return folder


@pytest.mark.parametrize(("file", "format", "skeleton", "labeled", "pictures"), SAMPLES)
def test_genuine_sample(tasks, file, format, skeleton, labeled, pictures):
    assert detect_format(tasks / file).format == format
    dataset = read(tasks / file)
    assert dataset.skeleton is not None
    assert dataset.skeleton.name == skeleton
    assert sum(p.is_file() for p in dataset.images.values()) == pictures
    assert sum(len(dataset.labeled(i)) for i in dataset.images) == labeled
    for i in dataset.images:
        points, boxes = dataset.keypoints(i), dataset.boxes(i)
        assert points.shape[1:] == (len(dataset.skeleton), 3) or not len(points)
        for row, box in zip(points, boxes, strict=True):
            seen = row[row[:, 2] > 0, :2]
            inside = (
                (seen >= box[:2] - 0.3 * np.ptp(box)) & (seen <= box[2:] + 0.3 * np.ptp(box))
            ).all(axis=1)
            assert inside.mean() > 0.9


def test_genuine_numbers(tasks):
    """A few values, taken from the files by hand."""

    def points(file, **options):
        dataset = read(tasks / file, **options)
        return dataset.annotations, dataset

    jhmdb, _ = points("body_other/jhmdb/test_jhmdb_sub1.json")
    np.testing.assert_allclose(jhmdb[2280001][0]["keypoints"][:3], [97.851746, 91.59851, 2])
    assert jhmdb[2280001][0]["bbox"] == [78, 61, 54, 159]
    mpii, dataset = points("body_other/mpii/test_mpii.json")
    assert mpii[1][0]["keypoints"][:3] == [803, 710, 2]
    side = 200 * 4.718488
    np.testing.assert_allclose(
        mpii[1][0]["bbox"], [965 - side / 2, 339 + 15 * 4.718488 - side / 2, side, side], atol=1e-3
    )
    assert dataset.images[1].name == "005808361.jpg"
    wflw, _ = points("face/wflw/test_wflw.json")
    assert wflw[2][0]["bbox"] == [440, 122, 85, 85]
    freihand, _ = points("hand/freihand/test_freihand.json")
    assert freihand[17620][0]["bbox"] == [0, 0, 224, 224]
    rhd, dataset = points("hand/rhd/test_rhd.json")
    assert dataset.keypoint_names[1] == "thumb4"
    assert rhd[111][0]["keypoints"][:3] == pytest.approx([245.8, 73.98, 1], abs=0.01)
    aic, _ = points("body_other/aic/test_aic.json")
    assert aic[1][0]["keypoints"][:6] == [313, 201, 2, 312, 313, 1]
    halpe, _ = points("body_other/halpe/test_halpe.json")
    assert halpe[785][0]["num_keypoints"] == 17  # as the file says
    onehand, dataset = points("hand/onehand10k/test_onehand10k.json")
    assert onehand[9][0]["keypoints"][:6] == [0, 0, 0, 81, 251, 1]


def test_posetrack_folder_of_the_publisher(tasks):
    dataset = read(tasks / "body_other" / "posetrack18" / "annotations" / "val")
    one = read(tasks / "body_other" / "posetrack18" / "annotations" / "test_posetrack18_val.json")
    assert set(dataset.images) == set(one.images)
    assert all(p.is_file() for p in dataset.images.values())
    for i in one.images:
        np.testing.assert_array_equal(dataset.keypoints(i), one.keypoints(i))


def test_formats_are_described():
    assert all(text and not text.endswith(".") for text in FORMATS.values())
