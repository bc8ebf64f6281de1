"""DeepLabCut projects and label files, written here as the tool writes them."""

import math

import numpy as np
import pytest
from annotated import write, write_image

from rtmpose.datasets import read
from rtmpose.datasets.formats import detect_format
from rtmpose.errors import InputError

PARTS = ("snout", "left_ear")


def dlc_head(individuals, columns):
    blank = "," * (columns - 1)
    scorer = ["me"] * (2 * len(PARTS) * max(len(individuals), 1))
    lines = [f"scorer{blank}," + ",".join(scorer)]
    if individuals:
        named = [i for i in individuals for _ in range(2 * len(PARTS))]
        lines.append(f"individuals{blank}," + ",".join(named))
    parts = [p for _ in individuals or [""] for p in PARTS for _ in "xy"]
    lines.append(f"bodyparts{blank}," + ",".join(parts))
    lines.append(f"coords{blank}," + ",".join(["x", "y"] * (len(parts) // 2)))
    return lines


def dlc(folder, rows, individuals=(), columns=1):
    text = "\n".join([*dlc_head(individuals, columns), *rows]) + "\n"
    return write(folder / "CollectedData_me.csv", text)


@pytest.mark.parametrize(
    ("columns", "row"),
    [(1, "labeled-data/c/a.png"), (1, "labeled-data\\c\\a.png"), (3, "labeled-data,c,a.png")],
)
def test_deeplabcut_one_animal(tmp_path, columns, row):
    clip = tmp_path / "labeled-data" / "c"
    write_image(clip / "a.png")
    path = dlc(clip, [f"{row},10.5,20,,"], columns=columns)
    write(tmp_path / "config.yaml", "Task: x\nscorer: me\n")
    for data in (path, clip, clip.parent, tmp_path, tmp_path / "config.yaml"):
        assert detect_format(data).format == "deeplabcut"
        dataset = read(data)
        assert dataset.images[1] == clip / "a.png"
        assert dataset.keypoint_names == PARTS
        np.testing.assert_allclose(dataset.keypoints(1), [[[10.5, 20, 2], [0, 0, 0]]])


def test_deeplabcut_several_animals_and_clips(tmp_path):
    for clip in ("c", "d"):
        folder = tmp_path / "labeled-data" / clip
        write_image(folder / "img0.png", seed=ord(clip))
        dlc(folder, [f"labeled-data,{clip},img0.png,1,2,3,4,,,7,8"], ("m1", "m2"), 3)
    dataset = read(tmp_path)
    assert [p.parent.name for p in dataset.images.values()] == ["c", "d"]
    points = dataset.keypoints(2)
    np.testing.assert_allclose(points[:, :, 0], [[1, 3], [0, 7]])


def test_deeplabcut_predictions_are_no_labels(tmp_path):
    path = dlc(tmp_path, ["0,1,2,3,4", "1,1,2,3,4"])
    with pytest.raises(InputError, match="predictions of a video are not labels"):
        read(path)
    with pytest.raises(InputError, match=r"row of a\.png: could not convert"):
        read(dlc(tmp_path, ["a.png,1,x,3,4"]))
    with pytest.raises(InputError, match="not a table of DeepLabCut"):
        read(write(tmp_path / "b.csv", "scorer,a\n1,2\n"))


def h5_labels(group, axis, levels):
    """A multi-level axis as pandas writes it: distinct names, and the number of each."""
    for number, names in enumerate(zip(*levels, strict=True)):
        distinct = sorted(set(names))
        group[f"{axis}_level{number}"] = np.array(distinct, "S")
        group[f"{axis}_label{number}"] = [distinct.index(name) for name in names]


def test_deeplabcut_h5(tmp_path):
    h5py = pytest.importorskip("h5py", reason="HDF5 needs h5py")
    write_image(tmp_path / "labeled-data" / "c" / "a.png")
    path = tmp_path / "labeled-data" / "c" / "CollectedData_me.h5"
    columns = [("me", part, c) for part in PARTS for c in "xy"]
    with h5py.File(path, "w") as file:
        group = file.create_group("df_with_missing")
        h5_labels(group, "axis0", columns)
        h5_labels(group, "block0_items", columns)
        group["axis1"] = np.array([b"labeled-data/c/a.png"])
        group["block0_values"] = [[1.5, 2, math.nan, math.nan]]
    dataset = read(path)
    np.testing.assert_allclose(dataset.keypoints(1), [[[1.5, 2, 2], [0, 0, 0]]])
    with h5py.File(path, "a") as file:
        del file["df_with_missing/axis1"]
        pickled = h5py.vlen_dtype(np.uint8)
        file["df_with_missing"].create_dataset("axis1", (1,), pickled)
    with pytest.raises(InputError, match=r"Python objects\); give the \.csv"):
        read(path)


def test_deeplabcut_h5_without_h5py(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    path = tmp_path / "CollectedData_me.h5"
    path.write_bytes(b"")
    with pytest.raises(ImportError, match=r"rtmpose\[deeplabcut\]"):
        read(path)
