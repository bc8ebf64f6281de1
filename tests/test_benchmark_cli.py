"""``rtmpose bench``: stages, tables, networks. Figures are not tested: they are benchmarks."""

import importlib.util
import json

import cv2
import numpy as np
import pytest
from networks import fixed_detector, spot_pose

from rtmpose.cli import main

ONE_ENGINE = ["--backend", "onnxruntime", "--device", "cpu", "--threads", "1"]


@pytest.fixture
def files(tmp_path):
    pose = spot_pose(tmp_path / "spot.onnx")
    boxes = [[8, 4, 40, 44, 0.9], [0, 0, 30, 40, 0.5]]
    detector = fixed_detector(tmp_path / "yolox_t.onnx", boxes)
    return pose, detector


@pytest.fixture
def models(files):
    return ["--pose", str(files[0]), "--detector", str(files[1])]


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "1.jpg"
    cv2.imwrite(str(path), np.full((60, 80, 3), 40, np.uint8))
    return path


def test_bench(tmp_path, models, photo, capsys):
    out = tmp_path / "b.json"
    arguments = ["bench", str(photo), *models, *ONE_ENGINE, "--limit", "3", "--people", "4"]
    assert main([*arguments, "--json", str(out)]) == 0
    result = json.loads(out.read_text())
    stages = {s["name"]: s["mean_ms"] for s in result["stages"]}
    assert list(stages) == ["detect", "crop", "network", "decode", "draw", "overhead", "total"]
    assert all(v > 0 for v in stages.values())
    assert result["people_per_frame"] == 4
    assert result["frames"] == 3
    printed = capsys.readouterr().out
    assert "detect" in printed
    assert "1.jpg: 4.0 boxes per frame, 3 frames" in printed


def test_people_that_the_detector_finds(tmp_path, models, photo):
    out = tmp_path / "b.json"
    assert (
        main(["bench", str(photo), *models, *ONE_ENGINE, "--limit", "2", "--json", str(out)]) == 0
    )
    assert json.loads(out.read_text())["people_per_frame"] == 2
    alone = ["--detector", "none", "--warmup", "0"]
    arguments = ["bench", str(photo), *models, *alone, *ONE_ENGINE, "--limit", "2"]
    assert main([*arguments, "--json", str(out)]) == 0
    assert json.loads(out.read_text())["people_per_frame"] == 1


def test_several_numbers_of_people_are_a_table(tmp_path, models, photo, capsys):
    out = tmp_path / "b.json"
    few = ["--limit", "2", "--warmup", "0", "--people", "1,5,20"]
    arguments = ["bench", str(photo), *models, *ONE_ENGINE, *few]
    assert main([*arguments, "--markdown", "--json", str(out)]) == 0
    printed = capsys.readouterr().out
    assert printed.count("| onnxruntime |") == 3
    assert printed.startswith("| backend | precision | people | detect_ms | network_ms |")
    rows = json.loads(out.read_text())
    assert [row["people"] for row in rows] == [1, 5, 20]
    assert all(row["fps"] > 0 for row in rows)


def test_every_backend(models, photo, capsys):
    few = ["--limit", "2", "--warmup", "0", "--threads", "1"]
    arguments = ["bench", str(photo), *models, *few, "--markdown"]
    assert main([*arguments, "--backend", "all", "--precision", "fp32"]) == 0
    names = ["onnxruntime"]
    if importlib.util.find_spec("openvino"):
        names.append("openvino")
    printed = capsys.readouterr().out
    if len(names) > 1:
        for name in names:
            assert printed.count(f"| {name} | fp32 |") == 1
        assert main([*arguments, "--backend", "openvino,onnxruntime"]) == 0
        assert "| openvino | fp32 |" in capsys.readouterr().out


def test_stages_as_markdown(models, photo, capsys):
    few = ["--limit", "2", "--warmup", "0"]
    assert main(["bench", str(photo), *models, *ONE_ENGINE, *few, "--markdown"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("| stage | mean ms | median ms | p95 ms | fps |\n| --- |")
    assert "onnxruntime on cpu, fp32" in printed


def test_networks(files, models, tmp_path, capsys):
    out = tmp_path / "p.json"
    few = ["--warmup", "0", "--limit", "2", "--backend", "onnxruntime"]
    arguments = ["bench", "--networks", str(files[0]), *few, "--batch", "1,2"]
    assert main([*arguments, "--json", str(out)]) == 0
    assert [r["batch"] for r in json.loads(out.read_text())] == [1, 2]
    capsys.readouterr()
    # Without names the detector and the pose model are timed.
    assert main(["bench", "--networks", *models, *few, "--markdown"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("| onnxruntime | cpu | fp32 | 1 |") == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--networks", "--batch", "many"], "--batch takes numbers"),
        (["--networks", "--batch", "1,"], "--batch takes numbers"),
        (["--people", "0"], "--people takes numbers"),
        (["--people", "5;20"], "--people takes numbers"),
        (["--backend", "opnvino"], "did you mean openvino"),
        (["--precision", "int4"], "unknown precision"),
        (["--device", "toaster"], "unknown device"),
        (["no/such/clip.mp4"], "does not exist"),
        (["--networks", "rtmpose-z"], "did you mean"),
    ],
)
def test_refusals(arguments, words, models, capsys):
    assert main(["bench", *models, *arguments]) == 1
    assert words in " ".join(capsys.readouterr().err.split())


def test_profile_is_gone(capsys):
    assert main(["profile"]) == 2
