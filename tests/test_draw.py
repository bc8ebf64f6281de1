import numpy as np
import pytest

from rtmpose import Detections, draw_detections, draw_poses, get_skeleton
from rtmpose.errors import InputError
from rtmpose.types import Poses

SKELETON = get_skeleton("coco17")
LINK = next(i for i, link in enumerate(SKELETON.links) if link == (5, 7) or link == (7, 5))


def arm(a, b, score=0.9, size=100.0):
    """A person of whom only the left upper arm, from a to b, scores well."""
    keypoints = np.zeros((1, 17, 2), np.float32)
    keypoints[0, 5], keypoints[0, 7] = a, b
    scores = np.zeros((1, 17), np.float32)
    scores[0, [5, 7]] = score
    box = np.array([[0, 0, size, size]], np.float32)
    return Poses(box, np.ones(1, np.float32), keypoints, scores, SKELETON)


@pytest.fixture
def gray():
    return np.full((200, 300, 3), 90, np.uint8)


def test_limb_is_where_it_should_be_and_the_input_stays(gray):
    before = gray.copy()
    drawn = draw_poses(gray, arm((40, 50), (160, 50)))
    np.testing.assert_array_equal(gray, before)
    # Thin lines are blended with what is below them.
    assert np.abs(drawn[50, 100].astype(int) - SKELETON.link_colors[LINK]).max() < 40
    assert drawn[80, 100].tolist() == [90, 90, 90]
    assert drawn[120:].std() == 0


def test_sides_have_different_colors():
    left, right = SKELETON.keypoints.index("left_wrist"), SKELETON.keypoints.index("right_wrist")
    assert SKELETON.keypoint_colors[left] != SKELETON.keypoint_colors[right]


def test_threshold(gray):
    assert (draw_poses(gray, arm((40, 50), (160, 50), score=0.25)) == gray).all()
    assert (draw_poses(gray, arm((40, 50), (160, 50), score=0.25), kpt_thr=0.2) != gray).any()


def test_nobody(gray):
    np.testing.assert_array_equal(draw_poses(gray, Poses.empty(SKELETON)), gray)


def test_black_background(gray):
    drawn = draw_poses(gray, arm((40, 50), (160, 50)), background="black")
    assert drawn[50, 100].any()
    assert not drawn[120:].any()
    with pytest.raises(InputError):
        draw_poses(gray, arm((1, 1), (2, 2)), background="white")


def test_thickness_follows_the_person():
    canvas = np.zeros((2000, 2000, 3), np.uint8)
    small = draw_poses(canvas, arm((100, 100), (160, 100), size=80), background="black")
    large = draw_poses(canvas, arm((100, 100), (1600, 100), size=2000), background="black")
    assert (large[:, 800].any(axis=1)).sum() > 3 * (small[:, 130].any(axis=1)).sum() > 0


@pytest.mark.parametrize("far", [np.nan, np.inf, 1e9, -1e9, 5000.0])
def test_points_far_outside(gray, far):
    drawn = draw_poses(gray, arm((40, 50), (far, 50)))
    assert drawn.shape == gray.shape


def test_options(gray):
    poses = arm((40, 50), (160, 50))
    for options in ({"boxes": True}, {"scores": True}, {"thickness": 12}):
        assert (draw_poses(gray, poses, **options) != draw_poses(gray, poses)).any(), options


def test_detections(gray):
    drawn = draw_detections(gray, Detections.from_boxes([[20, 30, 120, 150]]))
    assert drawn[90, 20].max() > 200
    assert drawn[90, 70].tolist() == [90, 90, 90]


@pytest.mark.parametrize("shape", [(1, 1, 3), (240, 320, 3)])
@pytest.mark.parametrize("name", ["halpe26", "coco-wholebody133", "ap10k17", "lapa106", "hand21"])
def test_every_set_can_be_drawn(shape, name):
    skeleton = get_skeleton(name)
    k = len(skeleton)
    points = np.random.default_rng(0).uniform(0, 200, (3, k, 2)).astype(np.float32)
    boxes = np.tile(np.array([[0, 0, 200, 200]], np.float32), (3, 1))
    poses = Poses(boxes, np.ones(3, np.float32), points, np.ones((3, k), np.float32), skeleton)
    assert draw_poses(np.zeros(shape, np.uint8), poses, scores=True, boxes=True).shape == shape
