"""Comparing, copying, pickling and converting what the package returns."""

import copy
import pickle

import numpy as np
import pytest

import rtmpose
from rtmpose.errors import InputError
from rtmpose.skeletons import get_skeleton
from rtmpose.types import Detections, Poses

COCO = get_skeleton("coco17")


def poses(shift=0.0):
    points = np.arange(34, dtype=np.float32).reshape(1, 17, 2) + shift
    points[0, 3] = np.nan
    return Poses([[0, 0, 40, 40]], [0.5], points, np.full((1, 17), 0.9, np.float32), COCO)


def test_results_are_compared_by_their_values():
    assert poses() == poses()
    assert poses() != poses(shift=0.5)
    assert poses() != poses()[:0]
    assert poses() != "poses"
    assert poses(1) in [poses(), poses(1)]
    assert len({poses(), poses()}) == 1
    boxes = Detections.from_boxes([[1, 2, 3, 4]])
    assert boxes == Detections.from_boxes([[1, 2, 3, 4]])
    assert boxes != Detections.from_boxes([[1, 2, 3, 5]])


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))]
)
def test_copies_are_equal(again):
    assert again(poses()) == poses()


def test_poses_are_no_array():
    with pytest.raises(InputError, match=r"several arrays.*\.keypoints \(1, 17, 2\)"):
        np.asarray(poses())


def test_opened_networks_stay_in_their_process(job_pipeline):
    for opened in (job_pipeline, job_pipeline.pose, job_pipeline.detector):
        for act in (pickle.dumps, copy.deepcopy):
            with pytest.raises(InputError, match="open one in each process"):
                act(opened)
    assert copy.copy(job_pipeline).model is job_pipeline.model


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("PoseTraker", "did you mean PoseTracker"),
        ("imread", "here it is rtmpose.read_image"),
        ("inference", "here it is rtmpose.predict"),
    ],
)
def test_names_that_are_not_there(name, hint):
    with pytest.raises(AttributeError, match=hint):
        getattr(rtmpose, name)
    assert not hasattr(rtmpose, "__path_of_nothing__")


def test_what_is_drawn_must_be_poses():
    black_image = np.zeros((40, 40, 3), np.uint8)
    for wrong in (None, [poses()], np.zeros((1, 17, 2))):
        with pytest.raises(InputError, match=r"must be rtmpose\.Poses of one image"):
            rtmpose.draw_poses(black_image, wrong)


def test_boxes_that_are_parts_of_the_size(job_pipeline):
    image = np.zeros((40, 60, 3), np.uint8)
    for boxes in ([[1, 2, 30, 40], [0.1, 0.2, 0.5, 0.9]], Detections.from_boxes([[0, 0, 1, 1]])):
        with pytest.raises(InputError, match="multiply x by the width"):
            job_pipeline(image, boxes=boxes)
    # The whole of the smallest image is one pixel.
    assert len(job_pipeline(image[:1, :1], boxes=[[0, 0, 1, 1]])) == 1
    assert len(job_pipeline(image, boxes=[[0.1, 0.2, 20, 30]])) == 1
