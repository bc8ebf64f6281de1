"""A keypoint set that does not come with the package travels inside the model's card."""

from dataclasses import replace

from rtmpose.cards.io import card_from_json, card_to_json
from rtmpose.model_card import ModelCard
from rtmpose.pose_estimator import PoseEstimator
from rtmpose.skeletons import load_skeleton, skeleton_of
from rtmpose.zoo import find

TEXT = """
name = "tool3"
keypoints = ["tip", "left_handle", "right_handle"]
flip = [["left_handle", "right_handle"]]
links = [["left_handle", "tip", "right_handle"]]
sigmas = [0.03, 0.05, 0.05]
"""


def own_card(tmp_path) -> ModelCard:
    (tmp_path / "tool3.toml").write_text(TEXT)
    skeleton = load_skeleton(tmp_path / "tool3.toml")
    return replace(
        find("rtmpose-s"),
        skeleton=skeleton.name,
        own_skeleton=skeleton,
        files=(),
        aliases=(),
        published={},
    )


def test_it_survives_the_card(tmp_path):
    card = own_card(tmp_path)
    again = card_from_json(card_to_json(card))
    assert again == card
    assert skeleton_of(again).flip_indices == (0, 2, 1)
    assert skeleton_of(find("rtmpose-s")).name == "halpe26"
    assert skeleton_of(find("rtmdet-nano")) is None


def test_the_runtime_uses_it(tmp_path):
    import networks

    path = networks.spot_pose(tmp_path / "tool.onnx", keypoints=3)
    card = replace(own_card(tmp_path), input_wh=(48, 64))
    assert PoseEstimator(path, card=card).skeleton.keypoints == (
        "tip",
        "left_handle",
        "right_handle",
    )
