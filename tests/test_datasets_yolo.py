"""YOLO-pose sets as tools and people write them."""

import logging

import numpy as np
import pytest
from annotated import write, write_image

from rtmpose.cli import main
from rtmpose.cli.data_options import DataOptions
from rtmpose.datasets import SCORING_SPLITS, read
from rtmpose.datasets.check import check
from rtmpose.datasets.formats import detect_format, read_annotations
from rtmpose.datasets.keypoint_guess import mirror_is_known
from rtmpose.datasets.simple_yaml import read_simple_yaml
from rtmpose.errors import InputError
from rtmpose.skeletons import get_skeleton

LINE = "0 0.5 0.5 0.4 0.8 0.3 0.2 2 0.5 0.5 2 0.7 0.9 2"
KEYS = "kpt_shape: [3, 3]\nnames: [mouse]\n"


def sample(folder, name, line=LINE, images="images", labels="labels"):
    """An image and its label file."""
    write_image(folder / images / f"{name}.png", 100, 50)
    write(folder / labels / f"{name}.txt", f"{line}\n")


def yolo(folder, keys=KEYS, line=LINE, train="images/train", val="images/val"):
    for split in ("train", "val"):
        sample(folder, split, line, f"images/{split}", f"labels/{split}")
    return write(folder / "data.yaml", f"train: {train}\nval: {val}\n{keys}")


def names_of(dataset):
    return [path.stem for path in dataset.images.values()]


# ---- keypoints


def test_flip_idx_and_names_of_data_yaml_are_used(tmp_path):
    keys = f"{KEYS}flip_idx: [0, 2, 1]\nkpt_names:\n  0:\n    - snout\n    - near\n    - far\n"
    dataset = read(yolo(tmp_path, keys))
    assert dataset.keypoint_names == ("snout", "near", "far")
    assert dataset.skeleton.flip_indices == (0, 2, 1)
    assert dataset.content["categories"][0]["flip_idx"] == [0, 2, 1]


@pytest.mark.parametrize(
    "names", ["[snout, left_ear, right_ear]", "\n  mouse: [snout, earL, earR]"]
)
def test_names_with_sides_make_pairs(tmp_path, names):
    dataset = read(yolo(tmp_path, f"{KEYS}kpt_names: {names}\n"))
    assert dataset.skeleton.flip_indices == (0, 2, 1)
    assert mirror_is_known(dataset.skeleton, dataset.content)


def test_without_either_nothing_is_mirrored_and_that_is_said(tmp_path, caplog):
    dataset = read(yolo(tmp_path))
    assert dataset.skeleton.name == "points-3"
    assert not mirror_is_known(dataset.skeleton, dataset.content)
    assert "do not mirror" in caplog.text
    told = read(yolo(tmp_path / "told", f"{KEYS}flip_idx: [0, 1, 2]\n"))
    assert mirror_is_known(told.skeleton, told.content)


def test_flip_idx_that_cannot_be(tmp_path):
    for number, flip in enumerate(("[0, 1]", "[0, 2, 2]", "[1, 2, 0]", "[a, b, c]", "7")):
        with pytest.raises(InputError, match="flip_idx of"):
            read(yolo(tmp_path / str(number), f"{KEYS}flip_idx: {flip}\n"))
    keys = f"{KEYS}flip_idx: [2, 1, 0]\nkpt_names: [snout, left_ear, right_ear]\n"
    with pytest.raises(InputError, match="mirrors snout to right_ear"):
        read(yolo(tmp_path / "names", keys))
    with pytest.raises(InputError, match="kpt_names of"):
        read(yolo(tmp_path / "two", f"{KEYS}kpt_names: [a, b]\n"))
    with pytest.raises(InputError, match="kpt_shape of"):
        read(yolo(tmp_path / "shape", "kpt_shape: [3, 4]\n"))


def test_names_count_more_than_a_flip_idx_that_moves_nothing(tmp_path, caplog):
    keys = f"{KEYS}flip_idx: [0, 1, 2]\nkpt_names: [snout, left_ear, right_ear]\n"
    assert read(yolo(tmp_path, keys)).skeleton.flip_indices == (0, 2, 1)
    assert "the names are believed" in caplog.text


def test_seventeen_points_are_a_person_only_where_something_says_so(tmp_path, caplog):
    line = "0 0.5 0.5 0.4 0.8" + " 0.3 0.2 2" * 17
    flip = list(get_skeleton("coco17").flip_indices)
    sets = {
        "a": ("names: [person]\n", "coco17"),
        "b": ("names: {0: dog}\n", "points-17"),
        "c": ("", "points-17"),
        "d": (f"flip_idx: {flip}\n", "coco17"),
        "e": (f"names: [dog]\nflip_idx: {flip}\n", "points-17"),
    }
    for folder, (keys, skeleton) in sets.items():
        dataset = read(yolo(tmp_path / folder, f"kpt_shape: [17, 3]\n{keys}", line))
        assert dataset.skeleton.name == skeleton
        assert dataset.skeleton.flip_indices == tuple(flip) or folder in "bc"
        assert "--skeleton" in caplog.text
        caplog.clear()


# ---- places


@pytest.mark.parametrize(
    ("train", "images", "labels"),
    [
        ("../train/images", "train/images", "train/labels"),
        ("train/images", "train/images", "train/labels"),
        ("train", "train/images", "train/labels"),
        ("images/train", "images/train", "labels/train"),
        ("./images/train/", "images/train", "labels/train"),
        ("images\\train", "images/train", "labels/train"),
        ("C:\\Users\\me\\mice\\images\\train", "images/train", "labels/train"),
        ("/content/datasets/mice/images/train", "images/train", "labels/train"),
        ("[images/train, images/more]", "images/train", "labels/train"),
        ("'bilder/train'", "bilder/train", "bilder/train"),
        ("\n  - images/train", "images/train", "labels/train"),
        ("Mäuse/images", "Mäuse/images", "Mäuse/labels"),
    ],
)
def test_images_are_found_however_tools_write_their_places(tmp_path, train, images, labels):
    sample(tmp_path, "a", images=images, labels=labels)
    path = tmp_path / "data.yaml"
    text = f"\ufefftrain: {train}  # for training\nval: valid/images\n{KEYS}flip_idx: [0, 2, 1]\n"
    path.write_bytes(text.replace("\n", "\r\n").encode())
    dataset = read(path)
    assert names_of(dataset) == ["a"]
    assert len(dataset.labeled(1)) == 1


@pytest.mark.parametrize("root", ["", "path: ../set\n", "path: /elsewhere/set\n", "path: .\n"])
def test_lists_of_images_in_text_files(tmp_path, root, caplog):
    folder = tmp_path / "set"
    sample(folder, "a", images="images/x", labels="labels/x")
    sample(folder, "b", images="images/y", labels="labels/y")
    listed = "./images/x/a.png\n/home/me/set/images/y/b.png\nimages\\y\\gone.png\n"
    write(folder / "train.txt", listed)
    dataset = read(write(folder / "data.yaml", f"{root}train: train.txt\n{KEYS}"))
    assert names_of(dataset) == ["a", "b"]
    assert all(dataset.labeled(i) for i in dataset.images)
    assert "1 of the images that it lists are not there, such as images\\y\\gone.png" in caplog.text


def test_a_folder_of_splits_needs_no_data_yaml(tmp_path):
    for split in ("train", "valid"):
        sample(tmp_path, split, images=f"{split}/images", labels=f"{split}/labels")
    assert detect_format(tmp_path).format == "yolo"
    assert names_of(read(tmp_path)) == ["train", "valid"]
    assert names_of(read(tmp_path, split="val")) == ["valid"]
    write(tmp_path / "data.yaml", f"train: train/images\n{KEYS}kpt_names: [a, b, c]\n")
    assert read(tmp_path, split="train").keypoint_names == ("a", "b", "c")


def test_any_folder_of_a_set_will_do(tmp_path):
    yolo(tmp_path, f"{KEYS}kpt_names: [a, b, c]\n")
    for folder in ("labels/train", "images/train"):
        dataset = read(tmp_path / folder)
        assert names_of(dataset) == ["train"]
        assert dataset.keypoint_names == ("a", "b", "c")
        assert len(dataset.labeled(1)) == 1
    with pytest.raises(InputError, match="labels of one image"):
        read(tmp_path / "labels" / "train" / "train.txt")


def test_images_elsewhere(tmp_path):
    write(tmp_path / "labels" / "a.txt", LINE)
    write_image(tmp_path / "photos" / "a.png", 100, 50)
    for data in (tmp_path, tmp_path / "labels", write(tmp_path / "data.yaml", f"train: x\n{KEYS}")):
        dataset = read(data, "yolo", images=tmp_path / "photos")
        assert len(dataset.labeled(1)) == 1


def test_a_split_that_is_not_there(tmp_path):
    path = yolo(tmp_path)
    with pytest.raises(InputError, match=r"no images of test.*names train, val.*--split"):
        read(path, split="test")
    lonely = write(tmp_path / "b" / "data.yaml", f"train: ../../gone/train/images\n{KEYS}")
    with pytest.raises(InputError, match=r"train \(\.\./\.\./gone/train/images\)"):
        read(lonely)


def test_the_images_of_all_splits_do_not_pass_for_one(tmp_path):
    yolo(tmp_path, val="gone/val/images")
    (tmp_path / "images" / "val" / "val.png").unlink()
    with pytest.raises(InputError, match="no images of val"):
        read(tmp_path / "data.yaml", split="val")


# ---- which split is scored


def test_scoring_takes_val_then_test_then_train(tmp_path, caplog):
    assert names_of(read(yolo(tmp_path / "a"), split=SCORING_SPLITS)) == ["val"]
    assert "split val of train, val" in caplog.text
    path = yolo(tmp_path / "b", f"test: images/val\n{KEYS}", val="''")
    (tmp_path / "b" / "images" / "val").rename(tmp_path / "b" / "images" / "held")
    text = path.read_text().replace("test: images/val", "test: images/held")
    assert names_of(read(write(path, text), split=SCORING_SPLITS)) == ["val"]
    assert "no images of the split val: taken is test" in caplog.text
    only = write(tmp_path / "c" / "data.yaml", f"train: images/train\n{KEYS}")
    sample(tmp_path / "c", "x", images="images/train", labels="labels/train")
    assert names_of(read(only, split=SCORING_SPLITS)) == ["x"]
    assert "taken is train" in caplog.text


def test_eval_reads_the_validation_split(tmp_path):
    path = yolo(tmp_path)
    assert names_of(DataOptions().read_to_score(path)) == ["val"]
    assert names_of(DataOptions(split="train").read_to_score(path)) == ["train"]
    assert names_of(DataOptions().read(path)) == ["train"]


def test_scoring_of_a_folder(tmp_path):
    yolo(tmp_path)
    assert names_of(read(tmp_path, split=SCORING_SPLITS)) == ["val"]
    sample(tmp_path / "flat", "a")
    write(tmp_path / "flat" / "data.yaml", KEYS)
    assert names_of(read(tmp_path / "flat", split=SCORING_SPLITS)) == ["a"]


# ---- label lines


def labels_with(folder, *lines, keys=KEYS):
    path = yolo(folder, keys)
    write(folder / "labels" / "train" / "train.txt", "\n".join(lines) + "\n")
    return path


FAULTS = {
    "label-line-length": [
        ("0 0.5 0.5 0.4 0.8 0.3 0.2 0.5 0.5 0.7 0.9", "3 points with 2 values each instead of 3"),
        ("0 0.1 0.1 0.2 0.1 0.2 0.2 0.1 0.2", "a segmentation polygon?"),
        ("0", "a class without a box"),
        (f"{LINE} 0.1 0.1 2", "4 points instead of 3"),
        (f"{LINE} 0.93", "a score or id at the end"),
    ],
    "label-line-not-numbers": [
        ("mouse 0.5 0.5 0.4 0.8", "'mouse 0.5"),
        ("0 nan 0.5 0.4 0.8", "'0 nan"),
        (LINE.replace("0 ", "0.5 ", 1), "0.5 is not the number of a class"),
    ],
    "label-in-pixels": [("0 50 25 40 40 30 10 2 50 25 2 70 45 2", "a value of 70")],
    "label-outside-image": [
        (LINE.replace("0.9", "1.3"), "a value of 1.3"),
        (LINE.replace("0.3", "-0.2"), "a value of -0.2"),
    ],
    "label-line-box-only": [("0 0.5 0.5 0.4 0.8", "a box without keypoints")],
}


@pytest.mark.parametrize("kind", FAULTS)
def test_lines_that_do_not_fit_are_listed(tmp_path, kind):
    lines = [line for line, _ in FAULTS[kind]]
    path = labels_with(tmp_path, LINE, "", "  ", *lines)
    report = check(read_annotations(path))
    (issue,) = (i for i in report.issues if i.kind == kind)
    assert issue.count == len(lines)
    for example, (_, text) in zip(issue.examples, FAULTS[kind], strict=True):
        assert text in example
        assert "train.txt, line" in example


@pytest.mark.parametrize("kind", FAULTS)
def test_reading_refuses_what_leaves_no_instance(tmp_path, kind, caplog):
    path = labels_with(tmp_path, LINE, *(line for line, _ in FAULTS[kind]))
    if kind in ("label-outside-image", "label-line-box-only"):
        with caplog.at_level(logging.WARNING):
            dataset = read(path)
        assert "rtmpose data check" in caplog.text
        assert len(dataset.annotations[1]) == 1 + len(FAULTS[kind])
        return
    with pytest.raises(InputError, match=r"train\.txt, line 2.*`rtmpose data check`"):
        read(path)


def test_points_without_a_label_may_stand_anywhere(tmp_path):
    line = "0 0.5 0.5 0.4 0.8 0.3 0.2 2 -1 -1 0 700 9 0"
    dataset = read(labels_with(tmp_path, line))
    np.testing.assert_allclose(dataset.keypoints(1)[0], [[30, 10, 2], [0, 0, 0], [0, 0, 0]])
    assert not check(read_annotations(tmp_path / "data.yaml")).errors


def test_the_usual_length_counts_without_kpt_shape(tmp_path):
    path = labels_with(tmp_path, LINE, LINE, "0 0.5 0.5 0.4 0.8", "0", keys="names: [mouse]\n")
    data = read_annotations(path)
    assert len(data.skeleton) == 3
    assert sorted(kind for kind, _ in data.faults) == ["label-line-box-only", "label-line-length"]


def test_sets_for_detectors_say_so(tmp_path):
    with pytest.raises(InputError, match="boxes only"):
        read(labels_with(tmp_path, "0 0.5 0.5 0.4 0.8", keys="names: [mouse]\n"))


def test_impossible_numbers_are_refused_at_once(tmp_path):
    with pytest.raises(InputError, match="not the number of a class"):
        read(labels_with(tmp_path / "a", LINE.replace("0 ", "999999999999 ", 1)))
    keys = "kpt_shape: [999999999, 3]\n"
    with pytest.raises(InputError, match="kpt_shape"):
        read(labels_with(tmp_path / "b", LINE, keys=keys))
    keys = f"{KEYS}names:\n  999999999: mouse\n"
    assert len(read(labels_with(tmp_path / "c", LINE, keys=keys)).content["categories"]) == 1


def test_labels_with_a_byte_order_mark(tmp_path):
    path = yolo(tmp_path)
    (tmp_path / "labels" / "train" / "train.txt").write_bytes(f"\ufeff{LINE}\r\n\r\n".encode())
    assert len(read(path).labeled(1)) == 1


# ---- data.yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("names: ['a b', \"c\", d]", {"names": ["a b", "c", "d"]}),
        ("names: {0: a, 1: 'b, c'}", {"names": {"0": "a", "1": "b, c"}}),
        ("names:\n- a\n- b\nnc: 2", {"names": ["a", "b"], "nc": 2}),
        ("flip_idx:\n  [0, 2,\n   1]  # pairs", {"flip_idx": [0, 2, 1]}),
        ("k:\n  0:\n    - a\n    - b\nn: 1", {"k": {"0": ["a", "b"]}, "n": 1}),
        ("names: ['a#b', 'c: d'] # e", {"names": ["a#b", "c: d"]}),
        ("train: C:\\data\\new", {"train": "C:\\data\\new"}),
        ('train: "C:\\data\\x"', {"train": "C:\\data\\x"}),
        ("download: |\n  from a import b\n  c: 3\nval: x", {"download": "|", "val": "x"}),
        ("---\nval:\ntest: ~\nnames: [it's, b]", {"val": "", "test": "", "names": ["it's", "b"]}),
        ("", {}),
        ("- a\n- b", {}),
    ],
)
def test_yaml_as_people_write_it(tmp_path, text, value):
    path = tmp_path / "data.yaml"
    for content in (text.encode(), b"\xef\xbb\xbf" + text.encode(), text.encode("utf-16")):
        path.write_bytes(content)
        assert read_simple_yaml(path) == value


def test_yaml_that_cannot_be_read(tmp_path):
    path = tmp_path / "data.yaml"
    for content, message in (
        (b"names: [a, b", "no closing bracket"),
        (b"names: \xff", "not UTF-8"),
        (b"a: " + b"[" * 5000 + b"]" * 5000, "nested too deeply"),
        (b"".join(b" " * i + b"a:\n" for i in range(100)), "nested too deeply"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=message):
            read_simple_yaml(path)


# ---- the command line


def test_check_of_mixed_labels(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    path = labels_with(tmp_path, LINE, *(line for line, _ in FAULTS["label-line-length"]))
    assert main(["data", "check", str(path)]) == 1
    assert "label lines of another length" in capsys.readouterr().out


def test_convert_keeps_flips(tmp_path, capsys):
    path = yolo(tmp_path, f"{KEYS}flip_idx: [0, 2, 1]\n")
    out = tmp_path / "out.json"
    assert main(["data", "convert", str(path), "--split", "val", "-o", str(out)]) == 0
    assert read(out).skeleton.flip_indices == (0, 2, 1)
    assert names_of(read(out)) == ["val"]
