from dataclasses import replace

import cv2
import numpy as np
import pytest

from rtmpose import Detections, draw_detections, draw_poses, get_skeleton
from rtmpose.draw import draw_ids, id_color
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


def dot(radius, center=(60.3, 60.6)):
    """Brightness above the background of one point, drawn in white on black: (120, 120)."""
    from rtmpose.draw import _circles

    canvas = np.zeros((120, 120, 3), np.uint8)
    polygon = _circles(np.array([center], np.float32), np.array([radius], np.float32))[0]
    cv2.fillConvexPoly(canvas, polygon, (255, 255, 255), cv2.LINE_AA, 3)
    return canvas[..., 0].astype(float) / 255


@pytest.mark.parametrize("radius", [1.2, 1.8, 2.4, 3.5, 6.0, 12.0])
def test_points_are_round_at_every_size(radius):
    """OpenCV's own circles below a radius of 2.5 pixels are diamonds, a third smaller."""
    ink = dot(radius)
    y, x = np.mgrid[:120, :120]
    x, y = x - 60.3, y - 60.6
    area = ink.sum()
    assert area == pytest.approx(np.pi * (radius + 0.6) ** 2, rel=0.1)
    # A square on its corner reaches farther along the axes than along the diagonals.
    straight = (ink * (np.abs(x) + np.abs(y))).sum() / area
    turned = (ink * (np.abs(x + y) + np.abs(x - y))).sum() / area / np.sqrt(2)
    assert straight / turned == pytest.approx(1, abs=0.04)


def person(height, ids=None):
    """Somebody upright with a face, of one height in pixels."""
    names = SKELETON.keypoints
    places = {"nose": (0, 8), "left_eye": (2, 6), "right_eye": (-2, 6), "left_ear": (4, 7)}
    places |= {"right_ear": (-4, 7), "left_shoulder": (12, 20), "right_shoulder": (-12, 20)}
    places |= {"left_hip": (8, 52), "right_hip": (-8, 52), "left_ankle": (8, 98)}
    points = np.zeros((1, 17, 2), np.float32)
    scores = np.zeros((1, 17), np.float32)
    for name, (x, y) in places.items():
        k = names.index(name)
        points[0, k] = 100 + x * height / 100, 20 + y * height / 100
        scores[0, k] = 0.9
    box = np.array([[80, 20, 120, 20 + height]], np.float32)
    ids = None if ids is None else np.array(ids)
    return Poses(box, np.ones(1, np.float32), points, scores, SKELETON, ids)


def test_small_faces_are_no_blot():
    """The links and points of a face of a few pixels would cover it: only the nose stays."""
    canvas = np.zeros((400, 300, 3), np.uint8)
    for height, whole in ((60, False), (300, True)):
        poses = person(height)
        scores = poses.scores.copy()
        scores[0, 1:5] = 0  # eyes and ears
        without = replace(poses, scores=scores)
        same = (draw_poses(canvas, poses) == draw_poses(canvas, without)).all()
        assert same != whole


def test_colors_of_people():
    canvas = np.zeros((400, 300, 3), np.uint8)
    tracked = person(300, ids=[5])
    x, y = tracked.keypoints[0, SKELETON.keypoints.index("left_hip")].round().astype(int)
    by_id = draw_poses(canvas, tracked, color="id")[y, x].tolist()
    assert by_id == list(id_color(5))
    assert draw_poses(canvas, tracked, color="person")[y, x].tolist() == list(id_color(0))
    assert draw_poses(canvas, person(300), color="id")[y, x].tolist() == list(id_color(0))
    with pytest.raises(InputError, match="color must be side, person or id"):
        draw_poses(canvas, tracked, color="red")


@pytest.mark.parametrize("width", [320, 1280, 3840])
def test_ids_are_readable(width):
    """Labels are filled, within the image, and no smaller than a hundredth of it."""
    canvas = np.zeros((width * 9 // 16, width, 3), np.uint8)
    draw_ids(canvas, person(80, ids=[12]))
    rows = np.flatnonzero((canvas == id_color(12)).all(axis=2).any(axis=1))
    assert width / 150 < len(rows) < width / 8
    assert rows[0] >= 0
