"""``--card``, ``--detector-card`` and ``--skeleton``: what a model file is that does not say."""

import json

import numpy as np
import pytest
from constant_network import SIZE, constant_network

from rtmpose.cards.io import card_to_json
from rtmpose.errors import InputError
from rtmpose.skeletons import get_skeleton
from rtmpose.zoo import find

K = 17
POINTS = np.random.default_rng(0).uniform(5, 60, (1, K, 2)).astype(np.float32)
POINT_SCORES = np.linspace(0.4, 0.9, K, dtype=np.float32)[None]
IMAGE = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)


def run(*words):
    from rtmpose.cli import main

    return main([str(word) for word in words])


def photo(folder):
    import cv2

    path = folder / "photo.png"
    cv2.imwrite(str(path), IMAGE)
    return path


def test_card_and_skeleton_of_predict_and_track(tmp_path, capsys):
    path = constant_network(
        tmp_path / "m.onnx",
        {"p": np.concatenate([POINTS, POINT_SCORES[..., None]], axis=2)},
        shape=(1, 3, "height", "width"),
    )
    card = json.loads(card_to_json(find("rtmpose-s-coco17")))
    card |= {"input_wh": list(SIZE), "id": "mine"}
    (tmp_path / "mine.card.json").write_text(json.dumps(card))
    common = ["--pose", path, "--detector", "none", "--backend", "onnxruntime"]
    out = tmp_path / "o.json"
    assert run("predict", photo(tmp_path), *common, "--json", out) == 1
    assert "declares no input size" in capsys.readouterr().err
    known = ["--card", tmp_path / "mine.card.json"]
    for command in ("predict", "track"):
        assert run(command, photo(tmp_path), *common, *known, "--json", out) == 0
        assert out.exists()
        out.unlink()
    other = ["--skeleton", "ap10k17"]
    assert run("predict", photo(tmp_path), *common, *known, *other, "--json", out) == 0
    (tmp_path / "mine.card.json").write_text("{}")
    assert run("predict", photo(tmp_path), *common, *known, "--json", out) == 1
    assert "mine.card.json cannot be used" in capsys.readouterr().err
    assert run("predict", photo(tmp_path), *common, "--card", "rtmpose-q", "--json", out) == 1


def test_skeleton_of_eval_and_export_is_checked(tmp_path, capsys):
    pytest.importorskip("torch", reason="torch is not installed: pip install 'rtmpose[export]'")
    from rtmpose.exporting.export import export
    from rtmpose.exporting.options import ExportOptions
    from rtmpose.skeletons import get_skeleton

    points = get_skeleton("coco17")
    with pytest.raises(InputError, match="has 26 keypoints, but coco17 has 17"):
        export("rtmpose-s-finetuned", tmp_path, ExportOptions("onnx"), skeleton=points)
    with pytest.raises(InputError, match="finds no keypoints"):
        export("rtmdet-nano-finetuned", tmp_path, ExportOptions("onnx"), skeleton=points)
    for command in (["eval", "pose", "--help"], ["export", "--help"]):
        assert run(*command) == 0
        shown = capsys.readouterr().out
        assert "--skeleton" in shown
        assert "--card" in shown


@pytest.fixture
def own_models(tmp_path):
    """A pose model, and a detector that says neither by its name nor by its layers what it is."""
    pose = constant_network(
        tmp_path / "m.onnx", {"p": np.concatenate([POINTS, POINT_SCORES[..., None]], axis=2)}
    )
    boxes = np.array([[[10, 8, 40, 48, 0.9], [50, 4, 90, 60, 0.6]]], np.float32)
    outputs = {"dets": boxes, "labels": np.zeros((1, 2), np.int64)}
    detector = constant_network(tmp_path / "found.onnx", outputs)
    card = json.loads(card_to_json(find("rtmdet-nano")))
    card |= {"input_wh": list(SIZE), "id": "my-detector"}
    (tmp_path / "found.card.json").write_text(json.dumps(card))
    return ["--pose", pose, "--detector", detector], [
        "--detector-card",
        tmp_path / "found.card.json",
    ]


@pytest.mark.parametrize("command", ["predict", "track"])
def test_the_card_of_a_detector(command, own_models, tmp_path, capsys):
    models, card = own_models
    out = tmp_path / "o.jsonl"
    rest = ["--backend", "onnxruntime", "--skeleton", "coco17", "--jsonl", out]
    assert run(command, photo(tmp_path), *models, *rest) == 1
    assert "nothing in it shows an RTMDet or YOLOX detector" in capsys.readouterr().err
    assert run(command, photo(tmp_path), *models, *card, *rest) == 0
    assert "1 frame, 2 people" in capsys.readouterr().out


def test_the_card_of_a_detector_in_eval_and_bench(own_models, tmp_path, capsys):
    pytest.importorskip("pycocotools", reason="pycocotools is not installed")
    models, card = own_models
    engine = ["--backend", "onnxruntime"]
    assert run("bench", photo(tmp_path), *models, *engine, *card, "--limit", "2") == 0
    assert "2.0 boxes per frame" in capsys.readouterr().out
    person = {
        "id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 1200,
        "bbox": [10, 8, 30, 40], "keypoints": [20, 20, 2] * K, "num_keypoints": K,
    }  # fmt: skip
    names = list(get_skeleton("coco17").keypoints)
    content = {
        "images": [{"id": 1, "file_name": "photo.png", "width": SIZE[0], "height": SIZE[1]}],
        "annotations": [person],
        "categories": [{"id": 1, "name": "person", "keypoints": names}],
    }
    data = tmp_path / "data.json"
    data.write_text(json.dumps(content))
    detected = ["--boxes", "detect"]
    assert run("eval", "pose", data, *models, *card, *engine, *detected) == 0
    assert "2.0 people" in capsys.readouterr().out
