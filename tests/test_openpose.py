"""OpenPose's JSON: the points are where its readers look for them."""

import json

import numpy as np
import pytest

from rtmpose import get_skeleton
from rtmpose.cli import main
from rtmpose.errors import InputError
from rtmpose.types import Poses
from rtmpose.writers import FrameRecord, WriterContext, format_named
from rtmpose.writers.openpose_layouts import LAYOUTS, openpose_layout

KEYS = {
    "person_id",
    *(
        f"{part}_keypoints_{dimension}"
        for part in ("pose", "face", "hand_left", "hand_right")
        for dimension in ("2d", "3d")
    ),
}


def numbered(skeleton):
    """One person whose keypoint k is at (10 k, 10 k + 1), with score k / 1000."""
    count = len(skeleton)
    x = 10 * np.arange(count, dtype=np.float32)
    return Poses(
        np.array([[0, 0, 100, 100]], np.float32),
        np.ones(1, np.float32),
        np.stack([x, x + 1], axis=1)[None],
        np.arange(count, dtype=np.float32)[None] / 1000,
        skeleton,
    )


def person(skeleton_name, layout, tmp_path):
    skeleton = get_skeleton(skeleton_name)
    context = WriterContext(skeleton, still=True, openpose_format=layout)
    writer = format_named("openpose").writer(tmp_path / "x_keypoints.json", context)
    writer.write(FrameRecord("x.jpg", 0, 0.0, numbered(skeleton), still=True))
    writer.close()
    content = json.loads((tmp_path / "x_keypoints.json").read_text())
    (found,) = content["people"]
    assert set(found) == KEYS
    return found


def point(values, k):
    return values[3 * k : 3 * k + 3]


def at(skeleton_name, *names):
    """What :func:`numbered` has at one keypoint, or midway between two."""
    indices = [get_skeleton(skeleton_name).keypoints.index(name) for name in names]
    x = 10 * sum(indices) / len(indices)
    return pytest.approx([x, x + 1, min(indices) / 1000], abs=1e-3)


@pytest.mark.parametrize("layout", ["auto", "body25"])
def test_halpe26_as_body25(layout, tmp_path):
    body = person("halpe26", layout, tmp_path)["pose_keypoints_2d"]
    assert len(body) == 75
    expected = {0: "nose", 1: "neck", 4: "right_wrist", 7: "left_wrist", 8: "hip", 9: "right_hip"}
    expected |= {11: "right_ankle", 14: "left_ankle", 15: "right_eye", 18: "left_ear"}
    expected |= {19: "left_big_toe", 21: "left_heel", 23: "right_small_toe", 24: "right_heel"}
    for k, name in expected.items():
        assert point(body, k) == at("halpe26", name), name


def test_coco17_as_coco18(tmp_path):
    found = person("coco17", "auto", tmp_path)
    body = found["pose_keypoints_2d"]
    assert len(body) == 54
    assert point(body, 1) == at("coco17", "left_shoulder", "right_shoulder")
    assert point(body, 8) == at("coco17", "right_hip")
    assert point(body, 17) == at("coco17", "left_ear")
    assert found["face_keypoints_2d"] == found["hand_left_keypoints_2d"] == []


def test_coco17_has_no_feet(tmp_path):
    body = person("coco17", "body25", tmp_path)["pose_keypoints_2d"]
    assert point(body, 8) == at("coco17", "left_hip", "right_hip")
    assert body[57:] == [0.0] * 18


def test_133_points_are_split(tmp_path):
    found = person("coco-wholebody133", "auto", tmp_path)
    name = "coco-wholebody133"
    lengths = {key: len(found[f"{key}_keypoints_2d"]) for key in ("pose", "face", "hand_left")}
    assert lengths == {"pose": 75, "face": 210, "hand_left": 63}
    assert point(found["pose_keypoints_2d"], 19) == at(name, "left_big_toe")
    assert point(found["face_keypoints_2d"], 0) == at(name, "face-0")
    assert point(found["face_keypoints_2d"], 69) == [0.0, 0.0, 0.0]
    for side in ("left", "right"):
        hand = found[f"hand_{side}_keypoints_2d"]
        assert point(hand, 0) == at(name, f"{side}_hand_root")
        assert point(hand, 8) == at(name, f"{side}_forefinger4")
        assert point(hand, 20) == at(name, f"{side}_pinky_finger4")


def test_own_order(tmp_path):
    assert person("halpe26", "native", tmp_path) == person("halpe26", "halpe26", tmp_path)
    assert len(person("hand21", "auto", tmp_path)["pose_keypoints_2d"]) == 63


def test_a_hand_is_no_body():
    with pytest.raises(InputError, match="no shoulders"):
        openpose_layout("body25", get_skeleton("hand21"))
    with pytest.raises(InputError, match="choose one of auto, body25"):
        openpose_layout("body24", get_skeleton("halpe26"))


def test_the_option_has_the_layouts():
    from rtmpose.cli.options import OpenPoseFormat

    assert tuple(OpenPoseFormat.__members__) == LAYOUTS


def test_pose2sim_names(tmp_path, small_job):
    """Folders end in ``json``, and files count from 0 whatever part of the clip is read."""
    video, options = small_job
    out = tmp_path / "pose"
    arguments = ["track", str(video), *options, "--openpose", str(out), "--start", "0.5"]
    assert main([*arguments, "--openpose-format", "pose2sim"]) == 0
    folder = out / f"{video.stem}_json"
    assert folder.is_dir()
    names = sorted(p.name for p in folder.glob("*.json"))
    assert names[:2] == [f"{video.stem}_000000.json", f"{video.stem}_000001.json"]
    assert len(names) > 2
    assert names[-1] == f"{video.stem}_{len(names) - 1:06d}.json"


@pytest.fixture
def small_job(tmp_path):
    from clips import clip
    from jobs import small_models

    (tmp_path / "models").mkdir()
    detector, pose = small_models(tmp_path / "models")
    video = clip(tmp_path / "cam01.avi", 12)
    return video, ["--detector", detector, "--pose", pose, "--backend", "onnxruntime"]
