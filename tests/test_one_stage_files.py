"""Files of one-stage models are recognized: by their outputs, their card, their folder."""

import json

import pytest
from networks import fixed_detector, fixed_people, spot_pose
from spots import CPU, black

from rtmpose import OneStage, Pipeline
from rtmpose.cards.io import card_from_json, card_to_json, write_card
from rtmpose.families import is_one_stage, open_model
from rtmpose.model_card import Codec, ModelCard, Normalization
from rtmpose.onnx_file import onnx_outputs


@pytest.mark.parametrize("declared", [True, False])
def test_files_are_recognized_by_their_outputs(tmp_path, declared):
    path = fixed_people(tmp_path / "mine.onnx", [[4, 4, 24, 60, 0.9]], declared=declared)
    names = [name for name, _ in onnx_outputs(path.read_bytes())]
    assert names == ["dets", "keypoints"]
    assert is_one_stage(path)
    pipeline = Pipeline(pose=path, backend="onnxruntime", threads=1)
    assert isinstance(pipeline.model, OneStage)
    assert pipeline.detector is None
    assert pipeline.pose.card.input_wh == (64, 64)
    assert not is_one_stage(spot_pose(tmp_path / "spot.onnx"))
    assert not is_one_stage(fixed_detector(tmp_path / "d.onnx", [[0, 0, 1, 1, 0.9]]))


def test_folders_of_the_deployment_sdk(tmp_path):
    """As the publisher's archives hold them; no other SDK of this kind reads RTMO."""
    folder = tmp_path / "rtmo-s_8xb32-600e_body7-640x640-dac2bf74_20231211"
    folder.mkdir()
    fixed_people(folder / "end2end.onnx", [[4, 4, 24, 60, 0.9]], size=640)
    (folder / "deploy.json").write_text(json.dumps({"models": [{"net": "end2end.onnx"}]}))
    tasks = {"pipeline": {"tasks": [{"transforms": [{"type": "BottomupResize"}]}]}}
    (folder / "pipeline.json").write_text(json.dumps(tasks))
    assert open_model(pose=folder, options=CPU).describe()["pose"] == "rtmo-s_body8_640x640"
    other = folder.rename(tmp_path / "mine")
    model = open_model(pose=other, options=CPU)
    assert model.describe()["pose"] == "end2end.onnx"
    assert len(model.estimate([black(640, 360)])[0]) == 1


def test_outputs_of_other_and_damaged_files(tmp_path):
    content = spot_pose(tmp_path / "spot.onnx").read_bytes()
    assert onnx_outputs(content) == [
        ("simcc_x", (None, 17, 96)),
        ("simcc_y", (None, 17, 128)),
    ]
    for part in (b"", b"nothing of the kind", content[: len(content) // 2]):
        assert isinstance(onnx_outputs(part), list)


def test_a_card_inside_the_file(tmp_path):
    path = fixed_people(tmp_path / "p.onnx", [[4, 4, 24, 60, 0.9]])
    card = ModelCard(
        "mine",
        "body",
        "rtmo-s",
        (64, 64),
        Normalization((0, 0, 0), (1, 1, 1), "bgr"),
        Codec("rtmo"),
        "coco17",
    )
    assert card_from_json(card_to_json(card)) == card
    named = write_card(path, card, tmp_path / "named.onnx")
    model = open_model(pose=named, options=CPU)
    assert model.describe()["pose"] == "mine"
    assert model(black()).box_scores.tolist() == pytest.approx([0.9])
