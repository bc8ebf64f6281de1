"""Without a detector: whole images, boxes from a file, and another keypoint set."""

import json

import cv2
import numpy as np
import pytest
from clips import clip
from networks import spot_person, spot_pose

import rtmpose
from rtmpose import BackendOptions, InputError, ModelError, PoseTracker
from rtmpose.cli import main
from rtmpose.tracking.video import VideoTracker

ENGINE = ["--backend", "onnxruntime", "--device", "cpu", "--threads", "1"]
OPTIONS = {"backend": "onnxruntime", "device": "cpu", "threads": 1}


@pytest.fixture
def pose(tmp_path):
    (tmp_path / "models").mkdir()
    return spot_pose(tmp_path / "models" / "spot.onnx")


def people(path):
    return [json.loads(line)["people"] for line in path.read_text().splitlines()[1:]]


def boxes_file(path, video, frames):
    rows = [
        {"image": video.name, "frame": k, "bbox": [10 + 2 * k, 8, 20, 40], "score": 0.9}
        for k in frames
    ]
    path.write_text(json.dumps(rows))
    return str(path)


@pytest.mark.parametrize("interval", ["1", "5", "auto"])
def test_track_takes_the_whole_image_as_one_person(tmp_path, pose, interval):
    video = clip(tmp_path / "a.avi", 12)
    out = tmp_path / "a.jsonl"
    # Half of 17 keypoints would have to be seen of a person whom the detector finds; here, none.
    arguments = ["--pose", str(pose), "--pose-kpt-thr", "2", "--det-interval", interval]
    written = ["--jsonl", str(out)]
    assert main(["track", str(video), "--detector", "none", *arguments, *ENGINE, *written]) == 0
    found = people(out)
    assert [[p["track_id"] for p in frame] for frame in found] == [[1]] * 12
    assert all(frame[0]["bbox"] == [0, 0, 80, 60] for frame in found)


def test_the_tracker_takes_whole_images_only_where_asked(tmp_path, pose):
    image = np.zeros((60, 80, 3), np.uint8)
    whole = PoseTracker(None, pose, whole_image=True, **OPTIONS)
    assert [whole(image).ids.tolist() for _ in range(3)] == [[1]] * 3

    # Otherwise boxes come with some frames, and the people are followed in the others.
    given = PoseTracker(
        None, pose, rtmpose.TrackerParams(pose_min_keypoints=0, person_thr=0), **OPTIONS
    )
    assert given(image, boxes=[[8, 4, 40, 44]]).ids.tolist() == [1]
    assert given(image).ids.tolist() == [1]
    assert len(PoseTracker(None, pose, **OPTIONS)(image)) == 0

    video = clip(tmp_path / "a.avi", 2)
    with pytest.raises(InputError, match="whole_image=True"):
        list(rtmpose.track(video, detector=None, pose=pose, **OPTIONS))
    results = rtmpose.track(video, detector=None, pose=pose, whole_image=True, **OPTIONS)
    assert [len(r.poses) for r in results] == [1, 1]


def test_track_boxes(tmp_path, pose, capsys):
    video = clip(tmp_path / "a.avi", 8)
    out = tmp_path / "a.jsonl"
    boxes = boxes_file(tmp_path / "boxes.json", video, range(4))
    arguments = ["track", str(video), "--pose", str(pose), *ENGINE, "--jsonl", str(out)]
    # No keypoint counts as seen: people are only where the file says.
    hidden = ["--pose-kpt-thr", "2", "--pose-min-keypoints", "0"]
    assert main([*arguments, *hidden, "--boxes", boxes]) == 0
    found = people(out)
    assert [frame[0]["bbox"] for frame in found[:4]] == [[10 + 2 * k, 8, 20, 40] for k in range(4)]
    assert [p["track_id"] for frame in found[:4] for p in frame] == [1] * 4

    # Boxes score 0.9: they are held to the threshold like a detector's.
    assert main([*arguments, *hidden, "--boxes", boxes, "--box-thr", "0.95"]) == 0
    assert not any(people(out))
    capsys.readouterr()
    assert main([*arguments, "--boxes", str(tmp_path / "none.json")]) == 1
    assert "none.json cannot be read" in capsys.readouterr().err


def test_boxes_take_the_place_of_the_detector(tmp_path, pose):
    (item,) = rtmpose.sources.expand_sources([str(clip(tmp_path / "a.avi", 8))])
    params = rtmpose.TrackerParams(pose_min_keypoints=0, smooth="off")
    asked = []

    def boxes(source, index):
        asked.append((source.name, index))
        return [[10, 8, 30, 48]] if index % 4 == 0 else None

    tracker = VideoTracker(PoseTracker(None, pose, params, **OPTIONS), boxes=boxes)
    poses = [tracked.poses for tracked in tracker.run([item])]
    assert asked == [(item.name, k) for k in range(8)]
    assert [len(p) for p in poses] == [1] * 8
    assert poses[0].boxes.tolist() == poses[4].boxes.tolist() == [[10, 8, 30, 48]]
    assert tracker.tracker.detector is None


def test_boxes_are_not_for_one_stage_models(tmp_path, capsys):
    model = spot_person(tmp_path / "person.onnx")
    video = clip(tmp_path / "a.avi", 2)
    boxes = boxes_file(tmp_path / "boxes.json", video, range(2))
    for command in ("predict", "track"):
        assert main([command, str(video), "--pose", str(model), *ENGINE, "--boxes", boxes]) == 1
        assert "it takes no boxes" in capsys.readouterr().err


def test_another_keypoint_set(tmp_path, pose, capsys):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((60, 80, 3), np.uint8))
    base = [str(tmp_path / "a.png"), "--pose", str(pose), "--detector", "none", *ENGINE]
    for command in ("predict", "track"):
        out = tmp_path / f"{command}.csv"
        assert main([command, *base, "--skeleton", "ap10k17", "--csv", str(out)]) == 0
        names = set(out.read_text().splitlines()[0].split(","))
        assert {f"{k}_x" for k in rtmpose.get_skeleton("ap10k17").keypoints} <= names
        capsys.readouterr()

        assert main([command, *base, "--skeleton", "halpe26"]) == 1
        assert "returns 17 keypoints, but halpe26 has 26" in capsys.readouterr().err
        assert main([command, *base, "--skeleton", "coco18"]) == 1
        assert "did you mean" in capsys.readouterr().err
        assert main([command, *base, "--skeleton", str(tmp_path / "no.toml")]) == 1
        assert "no.toml" in capsys.readouterr().err


def test_a_skeleton_in_the_api(tmp_path, pose):
    animal = rtmpose.get_skeleton("ap10k17")
    pipeline = rtmpose.Pipeline(None, pose, whole_image=True, skeleton=animal, **OPTIONS)
    assert pipeline(np.zeros((60, 80, 3), np.uint8)).skeleton is animal
    person = spot_person(tmp_path / "person.onnx")
    assert rtmpose.Pipeline(pose=person, skeleton=animal, **OPTIONS).skeleton is animal
    with pytest.raises(ModelError, match="has 21"):
        rtmpose.Pipeline(None, pose, skeleton=rtmpose.get_skeleton("hand21"), **OPTIONS)
    opened = rtmpose.PoseEstimator(pose, options=BackendOptions("onnxruntime", "cpu", 1))
    with pytest.raises(InputError, match="open already"):
        rtmpose.Pipeline(None, opened, skeleton=animal)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"score": float("nan")}, "entry 1: score must be a number from 0 to 1,000, not nan"),
        ({"score": float("inf")}, "entry 1: score must be"),
        ({"score": "high"}, "entry 1: score must be"),
        ({"score": None}, "entry 1: score must be"),
        ({"score": True}, "entry 1: score must be"),
        ({"box_score": -1}, "entry 1: score must be"),
        ({"bbox": [1, 2, float("nan"), 4]}, "entry 1: bbox must be a number"),
        ({"bbox": [1, 2, 3]}, "entry 1: bbox must be 4 numbers"),
        ({"bbox": [1, 2, -3, 4]}, "entry 1: box 0 has no positive width"),
        ({"bbox": [1e300, 2, 3, 4]}, "entry 1: bbox must be a number"),
        ({"bbox": [1e8, 2, 3, 4]}, "entry 1: box 0"),
        ({"bbox": "1234"}, "entry 1: bbox must be 4 numbers"),
        ({"frame": 1.5}, "entry 1: frame must be a whole number"),
        ({"frame": -1}, "entry 1: frame must be"),
    ],
)
def test_boxes_of_a_file_that_cannot_be_used(tmp_path, pose, capsys, entry, words):
    good = {"image": "a.png", "bbox": [1, 2, 3, 4], "score": 0.5}
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps([good, {**good, **entry}]))
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((60, 80, 3), np.uint8))
    for command in ("predict", "track"):
        arguments = [command, str(tmp_path / "a.png"), "--pose", str(pose), "--boxes", str(path)]
        assert main([*arguments, "--jsonl", str(tmp_path / "o.jsonl"), *ENGINE]) == 1
        error = capsys.readouterr().err
        assert words in error
        assert error.count("\n") == 1


@pytest.mark.parametrize("content", ["{}", "5", "[5]", "[[]]", '[{"bbox": [1, 2, 3, 4]}', "null"])
def test_boxes_files_that_are_something_else(tmp_path, pose, capsys, content):
    path = tmp_path / "boxes.json"
    path.write_text(content)
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((60, 80, 3), np.uint8))
    arguments = ["predict", str(tmp_path / "a.png"), "--pose", str(pose), "--boxes", str(path)]
    assert main([*arguments, *ENGINE]) == 1
    error = capsys.readouterr().err
    assert "boxes.json" in error
    assert error.count("\n") == 1
