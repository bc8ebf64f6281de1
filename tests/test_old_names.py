"""Cards and names of before still work: British keys, ``own`` in the ids of the bundled models."""

import numpy as np
import pytest
from networks import spot_pose

from rtmpose import PoseEstimator, zoo
from rtmpose.cards.io import card_from_json, card_to_json, embedded_card, sidecar_card_path
from rtmpose.skeletons import skeleton_of

POSE = (
    '{"architecture": "rtmpose-s", "calibration": {"data": "280 photos of COCO val2017, annotated'
    ' boxes", "ece": 0.0055, "offset": [-1.7312], "oks": 0.5, "slope": [8.595]}, "codec":'
    ' {"heatmap_wh": null, "kind": "simcc", "sigma": [4.9, 5.66], "split_ratio": 2.0}, "gflops":'
    ' 0.694, "id": "rtmpose-s_own-halpe26_256x192", "input_wh": [192, 256], "licence":'
    ' "Apache-2.0", "normalisation": {"colour": "rgb", "mean": [123.675, 116.28, 103.53], "std":'
    ' [58.395, 57.12, 57.375]}, "own_skeleton": {"description": "three points", "flip_indices":'
    ' [0, 2, 1], "keypoint_colours": [[7, 8, 9], [10, 11, 12], [13, 14, 15]], "keypoints":'
    ' ["nose", "left", "right"], "link_colours": [[1, 2, 3], [4, 5, 6]], "links": [[0, 1], [0,'
    ' 2]], "name": "hoof", "sides": ["centre", "left", "right"], "sigmas": [0.1, 0.2, 0.2]},'
    ' "params_m": 5.69, "skeleton": "hoof", "task": "body-feet", "trained_on": "body8-halpe26,'
    ' then COCO val2017 crops and LSP extended"}'
)
DETECTOR = (
    '{"architecture": "rtmdet-nano", "codec": {"heatmap_wh": null, "kind": "rtmdet", "sigma": [],'
    ' "split_ratio": 2.0}, "gflops": 0.309, "id": "rtmdet-nano_own_320x320", "input_fit":'
    ' "rectangular", "input_wh": [320, 320], "licence": "Apache-2.0", "normalisation":'
    ' {"colour": "bgr", "mean": [103.53, 116.28, 123.675], "std": [57.375, 57.12, 58.395]},'
    ' "notes": "of before", "params_m": 0.99, "task": "person detection", "trained_on":'
    ' "coco-person, then 850 photos of COCO val2017"}'
)


def test_cards_with_british_keys():
    card = card_from_json(POSE)
    assert card.license == "Apache-2.0"
    assert card.normalization.color == "rgb"
    assert card.normalization.mean == (123.675, 116.28, 103.53)
    assert card.calibration.slope == (8.595,)
    skeleton = skeleton_of(card)
    assert skeleton.name == "hoof"
    assert skeleton.sides == ("center", "left", "right")
    assert skeleton.link_colors == ((1, 2, 3), (4, 5, 6))
    assert skeleton.keypoint_colors[0] == (7, 8, 9)
    assert card_from_json(card_to_json(card)) == card

    card = card_from_json(DETECTOR)
    assert card.is_detector
    assert card.input_fit == "rectangular"
    assert zoo.find(card.id).id == "rtmdet-nano_finetuned_320x320"


def test_a_model_with_such_a_card_runs(tmp_path):
    path = spot_pose(tmp_path / "tool.onnx", keypoints=3)
    text = POSE.replace("[192, 256]", "[48, 64]")
    sidecar_card_path(path).write_text(text, encoding="utf-8")
    model = PoseEstimator(path)
    assert model.skeleton.name == "hoof"
    poses = model(np.zeros((64, 48, 3), np.uint8), [[0, 0, 48, 64]])
    assert poses.keypoints.shape == (1, 3, 2)
    assert poses.probabilities is not None


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ("rtmpose-s-own", "rtmpose-s_finetuned-halpe26_256x192"),
        ("rtmpose-s_own-halpe26_256x192", "rtmpose-s_finetuned-halpe26_256x192"),
        ("rtmdet-nano-own", "rtmdet-nano_finetuned_320x320"),
        ("rtmdet-nano_own_320x320", "rtmdet-nano_finetuned_320x320"),
        ("rtmpose-s-pruned_own-halpe26_192x144", "rtmpose-s-pruned_finetuned-halpe26_192x144"),
    ],
)
def test_ids_of_before(before, now):
    path, card = zoo.resolve(before)
    assert card.id == now
    assert path.is_file()


def test_cards_of_a_kind_that_is_not_known(tmp_path):
    text = POSE.replace('"kind": "simcc"', '"kind": "of-tomorrow"')
    with pytest.raises(ValueError, match="of-tomorrow"):
        card_from_json(text)
    path = spot_pose(tmp_path / "tool.onnx")
    sidecar_card_path(path).write_text(text, encoding="utf-8")
    assert embedded_card(path) is None
