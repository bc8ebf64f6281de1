"""Drop-in classes for people who leave another package."""

import numpy as np
import pytest
from networks import fixed_detector, spot_pose

from rtmpose import InputError


def test_compatible_tracker(tmp_path):
    from rtmpose.compat.mmdeploy_runtime import PoseTracker as Compatible

    pose = spot_pose(tmp_path / "spot.onnx")
    detector = fixed_detector(tmp_path / "yolox_t.onnx", [[8, 4, 40, 44, 0.9]])
    tracker = Compatible(str(detector), str(pose), "cpu")
    state, other = (
        tracker.create_state(det_interval=1, pose_min_keypoints=0),
        tracker.create_state(),
    )
    image = np.zeros((60, 80, 3), np.uint8)
    image[10:40, 20:26] = (0, 0, 255)
    keypoints, boxes, ids = tracker(state, image)
    assert keypoints.shape == (1, 17, 3)
    assert boxes.shape == (1, 4)
    assert ids.tolist() == [0]
    assert ids.dtype == np.uint32
    assert tracker(state, image, detect=1)[2].tolist() == [0]
    assert other.state.tracks == []
    with pytest.raises(InputError, match="does not know"):
        tracker.create_state(det_intervall=1)
