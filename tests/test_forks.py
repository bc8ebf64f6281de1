"""Processes that fork after an engine was used: the child can use it, and ends."""

import importlib.util
import os
import subprocess
import sys

import pytest
from networks import spot_pose

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no forks")

USE = """
import os, sys
import numpy as np, rtmpose
engine, streams, model = sys.argv[1:]
options = rtmpose.BackendOptions(engine, "cpu", threads=2, num_streams=int(streams))
pose = rtmpose.PoseEstimator(model, options=options)
image = np.full((60, 80, 3), 90, np.uint8)
boxes = [[8, 4, 40, 44]] * 5
before = pose(image, boxes).keypoints
child = os.fork()
same = np.array_equal(pose(image, boxes).keypoints, before)
if not child:
    sys.exit(7 if same else 1)  # not os._exit: everything is deleted at the end
print(same, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.parametrize("streams", ["1", "2"])
@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_both_processes_go_on_and_end(engine, streams, tmp_path):
    if not importlib.util.find_spec(engine):
        pytest.skip(f"{engine} is not installed")
    model = spot_pose(tmp_path / "spot.onnx", named=True)
    ended = subprocess.run(
        [sys.executable, "-c", USE, engine, streams, str(model)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.stdout == "True 7\n", ended.stderr
