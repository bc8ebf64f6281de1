"""One-stage models in evaluation, benchmark and commands."""

import json

import cv2
import numpy as np
import pytest
from annotated import coco_folder
from networks import fixed_detector, fixed_people, spot_person, spot_pose
from spots import CPU, avi, moving, spot

from rtmpose import BackendOptions, OneStage, Pipeline, PoseEstimator
from rtmpose.benchmark.networks import open_network
from rtmpose.benchmark.stages import measure
from rtmpose.cli import main
from rtmpose.datasets import read
from rtmpose.errors import InputError
from rtmpose.evaluation import evaluate

# ---- evaluation and timing


def test_evaluation_finds_the_people_itself(tmp_path):
    data = read(coco_folder(tmp_path / "set"))
    model = OneStage(fixed_people(tmp_path / "p.onnx", [[4, 4, 24, 60, 0.9]]), options=CPU)
    result = evaluate(data, model)
    assert result.settings["boxes"] == "detect"
    assert result.settings["detector"] is None
    assert result.settings["box_thr"] == 0.05
    assert "AP" in result.metrics
    # Ranked by the box score alone, as published.
    assert [row["score"] for row in result.results] == pytest.approx([0.9] * 3)
    for boxes in ("gt", str(tmp_path / "boxes.json")):
        with pytest.raises(InputError, match="scored with boxes='detect'"):
            evaluate(data, model, boxes=boxes)
    with pytest.raises(InputError, match="no flip test"):
        evaluate(data, model, flip_test=True)


def test_evaluation_by_path_and_name(tmp_path):
    folder = coco_folder(tmp_path / "set")
    path = spot_pose(tmp_path / "spot.onnx")
    options = BackendOptions("onnxruntime", "cpu", 1)
    by_name = evaluate(folder, path, options=options)
    opened = evaluate(read(folder), PoseEstimator(path, options=options))
    assert by_name.metrics == opened.metrics
    detector = fixed_detector(tmp_path / "yolox_t.onnx", [[4, 4, 40, 60, 0.9]])
    found = evaluate(folder, path, boxes="detect", detector=detector, options=options)
    assert found.settings["detector"] == "yolox_t.onnx"
    assert found.people_per_image == 1


def test_stages(tmp_path):
    pipeline = Pipeline(pose=spot_person(tmp_path / "p.onnx"), backend="onnxruntime", threads=1)
    result = measure(pipeline, [spot(60, 60)], 5, warm_up=1)
    times = {stage.name: stage.mean_ms for stage in result.stages}
    assert times["network"] > 0
    assert times["crop"] > 0
    assert times["detect"] < times["total"]
    assert times["total"] == pytest.approx(
        sum(times[n] for n in ("detect", "crop", "network", "decode")), abs=0.01
    )
    assert result.settings["detector"] == "none"
    assert result.people_per_frame == 1
    with pytest.raises(InputError, match="finds people by itself"):
        measure(pipeline, [spot(60, 60)], 1, people=3)


def test_networks_alone(tmp_path):
    backend, card = open_network(spot_person(tmp_path / "p.onnx"), CPU)
    assert card.codec.kind == "rtmo"
    assert len(backend(np.zeros((1, 64, 64, 3), np.uint8))) == 2


# ---- commands


def test_commands(tmp_path, capsys, monkeypatch):
    model = str(spot_person(tmp_path / "p.onnx"))
    photo = str(tmp_path / "photo.png")
    cv2.imwrite(photo, spot(100, 90))
    poses = tmp_path / "poses.json"
    engine = ["--backend", "onnxruntime", "--threads", "1"]
    assert main(["predict", photo, "--pose", model, "--json", str(poses), *engine]) == 0
    people = json.loads(poses.read_text())
    assert len(people) == 1
    assert people[0]["keypoints"][:2] == pytest.approx([100, 90], abs=8)

    video = str(avi(tmp_path / "a.avi", moving(6)))
    out = tmp_path / "tracks"
    arguments = ["track", video, "--pose", model, "--output", str(out), *engine]
    assert main([*arguments, "--jsonl", str(out)]) == 0
    lines = (out / "a.jsonl").read_text().splitlines()[1:]
    assert len(lines) == 6
    assert '"track_id": 1' in lines[-1] or '"track_id":1' in lines[-1]

    data = str(coco_folder(tmp_path / "set"))
    report = tmp_path / "report.json"
    evaluation = ["eval", data, "--pose", model, "--json", str(report), "--backend", "onnxruntime"]
    assert main([*evaluation, "--boxes", "detect"]) == 0
    assert json.loads(report.read_text())["settings"]["boxes"] == "detect"
    assert main(["bench", photo, "--pose", model, "--limit", "3", *engine]) == 0
    assert "network" in capsys.readouterr().out
