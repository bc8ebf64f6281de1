"""The results: scores, COCO form, conversion to supervision, checked shapes."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

import rtmpose
from rtmpose import Detections
from rtmpose.errors import InputError


def test_instance_score_is_box_times_sure_keypoints():
    from rtmpose import Poses, get_skeleton

    skeleton = get_skeleton("coco17")
    scores = np.zeros((2, 17), np.float32)
    scores[0, :2] = 0.4, 0.8
    scores[0, 2] = 0.2  # not above 0.2: does not count
    poses = Poses(
        np.array([[0, 0, 10, 20]] * 2, np.float32),
        np.array([0.5, 1], np.float32),
        np.zeros((2, 17, 2), np.float32),
        scores,
        skeleton,
    )
    np.testing.assert_allclose(poses.instance_scores, [0.3, 0])
    coco = poses.to_coco(5)
    assert coco[0]["bbox"] == [0, 0, 10, 20]
    assert coco[0]["score"] == pytest.approx(0.3)
    assert len(coco[0]["keypoints"]) == 51
    assert "2 x coco17" in repr(poses)
    assert len(poses[:1]) == 1
    assert len(poses[poses.instance_scores > 0.1]) == 1


def test_to_supervision():
    supervision = pytest.importorskip("supervision")
    from rtmpose import Poses, get_skeleton

    poses = Poses.empty(get_skeleton("coco17"))
    assert isinstance(poses.to_supervision(), supervision.KeyPoints)
    two = two_people(ids=[7, 9])
    given = two.to_supervision()
    np.testing.assert_array_equal(given.data["tracker_id"], [7, 9])
    image = np.zeros((64, 64, 3), np.uint8)
    drawn = supervision.EdgeAnnotator(edges=two.skeleton.links_from_1).annotate(image, given)
    assert drawn.any()


def two_people(ids=None):
    points = np.arange(68, dtype=np.float32).reshape(2, 17, 2) % 60
    boxes = np.array([[0, 0, 30, 60], [20, 0, 60, 60]], np.float32)
    scores = np.full((2, 17), 0.7, np.float32)
    return rtmpose.Poses(boxes, [0.9, 0.6], points, scores, rtmpose.get_skeleton("coco17"), ids)


@pytest.mark.parametrize("newer", [False, True])
def test_supervision_gets_boxes_classes_and_ids(newer, monkeypatch):
    """The two signatures of the library: before 0.29, and since."""
    if newer:

        def key_points(
            xy, class_id=None, keypoint_confidence=None, detection_confidence=None, data=None
        ):
            return {**data, **locals()}

    else:

        def key_points(xy, class_id=None, confidence=None, data=None):
            return {**data, **locals()}

    monkeypatch.setitem(sys.modules, "supervision", SimpleNamespace(KeyPoints=key_points))
    given = two_people([7, 9]).to_supervision()
    np.testing.assert_allclose(given["detection_confidence"], [0.9, 0.6])
    np.testing.assert_array_equal(given["tracker_id"], [7, 9])
    np.testing.assert_array_equal(given["class_id"], [0, 0])
    assert ("detection_confidence" in given["data"]) is not newer
    assert given["keypoint_confidence" if newer else "confidence"].shape == (2, 17)
    assert "tracker_id" not in two_people().to_supervision()
    assert rtmpose.get_skeleton("coco17").links_from_1[0] == tuple(
        i + 1 for i in rtmpose.get_skeleton("coco17").links[0]
    )


def test_detections_check_their_shapes():
    with pytest.raises(InputError):
        Detections(np.zeros((2, 4), np.float32), np.zeros(1, np.float32), np.zeros(2, np.int64))
