"""Formats that are not COCO: as their publishers give them out, YOLO labels, class folders."""

import json
from pathlib import Path

import numpy as np
import pytest
from annotated import write, write_image

from rtmpose.datasets import read, read_image_folder
from rtmpose.datasets.image_size import image_size
from rtmpose.datasets.simple_yaml import read_simple_yaml
from rtmpose.errors import InputError
from rtmpose.skeletons import get_skeleton


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
    write_image(tmp_path / "images" / "1.png")
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
    write_image(tmp_path / "images" / "abc.jpg")
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
    write_image(tmp_path / "images" / "7_0.jpg")
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
    write_image(tmp_path / "WFLW_images" / "37--Soccer" / "a.jpg")
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
    write_image(tmp_path / "indoor" / "a.png")
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
        write_image(tmp_path / "training" / "rgb" / f"{i:08d}.jpg", 224, 224)
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
        write_image(folder / "images" / split / "a.png", 100, 50)
        write_image(folder / "images" / split / "empty.png", 100, 50)
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
        write_image(tmp_path / name)
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
    assert image_size(write_image(tmp_path / "a.png", 70, 31)) == (70, 31)
    assert image_size(write_image(tmp_path / "a.jpg", 70, 31)) == (70, 31)
    assert image_size(tmp_path / "none.jpg") is None
    assert image_size(write(tmp_path / "bad.jpg", "no image")) is None
    content = json.loads(
        (shared / "data" / "coco_val_subset" / "person_keypoints.json").read_text()
    )
    for image in content["images"][:20]:
        path = shared / "data" / "coco_val_subset" / "images" / image["file_name"]
        assert image_size(path) == (image["width"], image["height"])
