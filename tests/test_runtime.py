"""Backends, pose estimator, detector and pipeline, on networks small enough to check by hand."""

import importlib.util

import cv2
import numpy as np
import pytest
from networks import fixed_detector, spot_heatmap, spot_pose

import rtmpose
from rtmpose import BackendOptions, Detector, Pipeline, PoseEstimator
from rtmpose.errors import InputError, ModelError
from rtmpose.ops.letterbox import letterbox, unletterbox
from rtmpose.skeletons import generic_skeleton

ENGINES = [
    "onnxruntime",
    pytest.param(
        "openvino",
        marks=pytest.mark.skipif(
            not importlib.util.find_spec("openvino"), reason="OpenVINO is not installed"
        ),
    ),
]


def cpu(engine: str) -> BackendOptions:
    return BackendOptions(engine, "cpu", 1, precision="fp32")


def spot(x: float, y: float, size=(320, 240), color=(0, 0, 255)) -> np.ndarray:
    """A black image with a soft red spot: the column and row where red peaks are the keypoint."""
    image = np.zeros((size[1], size[0], 3), np.uint8)
    cv2.circle(image, (round(x), round(y)), 9, color, -1)
    return cv2.GaussianBlur(image, (0, 0), 6)


@pytest.fixture(params=ENGINES)
def engine(request):
    return request.param


@pytest.fixture
def pose(tmp_path, engine):
    return PoseEstimator(spot_pose(tmp_path / "spot.onnx"), options=cpu(engine))


def test_keypoints_land_on_the_spot(pose):
    for x, y in ((100, 100), (140, 90), (120, 150)):
        poses = pose(spot(x, y), [[60, 40, 180, 200]])
        assert len(poses) == 1
        assert poses.keypoints.dtype == poses.scores.dtype == np.float32
        # The network's bins are 1.7 image pixels wide here.
        assert np.abs(poses.keypoints[0] - (x, y)).max() < 3.5


def test_pose_networks_see_rgb(pose):
    """The network looks at its first channel, which must be red."""
    red, blue = (
        pose(spot(120, 120, color=c), [[60, 40, 180, 200]]) for c in ((0, 0, 255), (255, 0, 0))
    )
    assert red.scores.min() > blue.scores.max() + 0.2


def test_all_people_in_one_call(pose, monkeypatch):
    calls = []
    run = pose.backend.__class__.__call__
    monkeypatch.setattr(
        pose.backend.__class__, "__call__", lambda self, x: calls.append(len(x)) or run(self, x)
    )
    boxes = [[60, 40, 180, 200], [50, 30, 190, 210], [70, 60, 170, 190]]
    together = pose(spot(120, 120), boxes)
    assert calls == [3]
    for i, box in enumerate(boxes):
        np.testing.assert_allclose(
            pose(spot(120, 120), [box]).keypoints[0], together.keypoints[i], atol=1e-4
        )


def test_fixed_batch_is_filled_up(tmp_path, engine, pose):
    fixed = PoseEstimator(spot_pose(tmp_path / "two.onnx", batch=2), options=cpu(engine))
    boxes = [[60, 40, 180, 200], [50, 30, 190, 210], [70, 60, 170, 190]]
    ours, theirs = fixed(spot(120, 120), boxes), pose(spot(120, 120), boxes)
    np.testing.assert_allclose(ours.keypoints, theirs.keypoints, atol=1e-4)
    np.testing.assert_allclose(ours.scores, theirs.scores, atol=1e-4)


def test_batch_of_images(pose):
    images = [spot(100, 100), spot(140, 90, size=(200, 400)), spot(50, 50)]
    boxes = [[[60, 40, 180, 200]], [[60, 40, 180, 200], [100, 50, 180, 130]], []]
    many = pose.estimate_batch(images, boxes)
    assert [len(p) for p in many] == [1, 2, 0]
    for image, box, poses in zip(images, boxes, many, strict=True):
        np.testing.assert_allclose(pose(image, box).keypoints, poses.keypoints, atol=1e-4)
    with pytest.raises(InputError, match="3 images"):
        pose.estimate_batch(images, boxes[:2])


def test_flip_test_agrees_on_a_symmetric_scene(pose):
    image = spot(120, 120)
    plain, flipped = (pose(image, [[60, 40, 180, 200]], flip_test=f) for f in (False, True))
    assert np.abs(plain.keypoints - flipped.keypoints).max() < 3.5


def test_heatmap_network(tmp_path, engine):
    pose = PoseEstimator(
        spot_heatmap(tmp_path / "maps.onnx", input_wh=(192, 256)), options=cpu(engine)
    )
    assert pose.card.codec.kind == "heatmap"
    poses = pose(spot(110, 130), [[60, 40, 180, 200]])
    assert np.abs(poses.keypoints[0] - (110, 130)).max() < 4


@pytest.mark.parametrize("count", [17, 21, 26, 106, 133, 5])
def test_any_keypoint_count(tmp_path, count):
    pose = PoseEstimator(
        spot_pose(tmp_path / "k.onnx", keypoints=count), options=cpu("onnxruntime")
    )
    assert len(pose.skeleton) == count
    assert pose(spot(100, 100), [[60, 40, 180, 200]]).keypoints.shape == (1, count, 2)


@pytest.mark.parametrize(
    "box",
    [
        [-200, -100, 150, 150],
        [250, 150, 900, 700],
        [400, 400, 500, 500],
        [0, 0, 320, 240],
        [10, 10, 10.5, 10.5],
    ],
)
def test_boxes_partly_or_wholly_outside(pose, box):
    poses = pose(spot(100, 100), [box])
    assert np.isfinite(poses.keypoints).all()
    np.testing.assert_array_equal(poses.boxes[0], np.array(box, np.float32))


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ([np.nan, 0, 5, 5], "NaN"),
        ([0, 0, np.inf, 5], "infinity"),
        ([10, 10, 10, 50], "no positive width"),
        ([50, 10, 20, 50], "no positive width"),
        ([1, 2, 3], "shape"),
        (["a", 1, 2, 3], "numbers"),
    ],
)
def test_bad_boxes(pose, box, words):
    with pytest.raises(InputError, match=words):
        pose(spot(100, 100), [box])


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((10, 10), np.uint8), "COLOR_GRAY2BGR"),
        (np.zeros((10, 10, 4), np.uint8), "COLOR_BGRA2BGR"),
        (np.zeros((10, 10, 3), np.uint16), "uint8"),
        (np.zeros((0, 10, 3), np.uint8), "empty"),
        ("photo.jpg", "numpy array"),
    ],
)
def test_bad_arrays(pose, image, words):
    with pytest.raises(InputError, match=words):
        pose(image, [[0, 0, 5, 5]])


def test_no_people(pose, tmp_path, engine):
    empty = pose(spot(10, 10), [])
    assert len(empty) == 0
    assert empty.keypoints.shape == (0, 17, 2)
    assert empty.to_coco(3) == []
    detector = Detector(
        fixed_detector(tmp_path / "yolox_x.onnx", [[1, 1, 9, 9, 0.1]]),
        options=cpu(engine),
        box_thr=0.5,
    )
    assert len(Pipeline(detector, pose)(spot(10, 10))) == 0


# ---- detector
# ---------------------------------------------------------------------------------------------


def test_detector_maps_boxes_back(tmp_path, engine):
    model = fixed_detector(
        tmp_path / "yolox_t.onnx", [[8, 4, 16, 24, 0.9], [0, 0, 64, 48, 0.95], [0, 0, 4, 4, 0.2]]
    )
    detector = Detector(model, options=cpu(engine))
    found = detector(np.zeros((240, 320, 3), np.uint8))
    np.testing.assert_allclose(found.scores, [0.95, 0.9])
    np.testing.assert_allclose(found.boxes, [[0, 0, 320, 240], [40, 20, 80, 120]], atol=1e-3)
    assert len(detector(np.zeros((240, 320, 3), np.uint8), box_thr=0.1)) == 3


@pytest.mark.parametrize("size", [(1, 1), (20000, 10), (10, 20000), (333, 77), (64, 64)])
@pytest.mark.parametrize("truncate", [False, True])
def test_letterbox_round_trip(size, truncate):
    image = np.full((size[1], size[0], 3), 200, np.uint8)
    canvas, factors = letterbox(image, (64, 64), truncate=truncate)
    assert canvas.shape == (64, 64, 3)
    boxes = np.array(
        [[0, 0, size[0], size[1]], [0.25 * size[0], 0, 0.5 * size[0], 0.5 * size[1]]], np.float32
    )
    there = boxes * np.array([*factors, *factors], np.float32)
    np.testing.assert_allclose(unletterbox(there, factors), boxes, rtol=1e-5)
    new_w, new_h = (
        int(np.ceil(min(64, max(1, s * f)) - 1e-6)) for s, f in zip(size, factors, strict=True)
    )
    assert (canvas[: max(1, new_h - 1), : max(1, new_w - 1)] == 200).all()
    assert (canvas[min(64, new_h + 1) :] == 114).all()


def test_max_people_takes_the_highest_scoring(tmp_path, pose, engine):
    model = fixed_detector(
        tmp_path / "yolox_t.onnx", [[8, 4, 16, 24, 0.6], [0, 0, 64, 48, 0.9], [0, 0, 9, 9, 0.8]]
    )
    pipeline = Pipeline(Detector(model, options=cpu(engine)), pose, max_people=2, person_thr=0)
    np.testing.assert_allclose(pipeline(spot(10, 10)).box_scores, [0.9, 0.8], atol=1e-6)


# ---- pipeline
# ---------------------------------------------------------------------------------------------


def test_without_detector(pose):
    image = spot(160, 120)
    with pytest.raises(InputError, match="whole_image"):
        Pipeline(None, pose)(image)
    whole = Pipeline(None, pose, whole_image=True)(image)
    np.testing.assert_array_equal(whole.boxes, [[0, 0, 320, 240]])
    given = Pipeline(None, pose)(image, [[10, 10, 50, 60]])
    np.testing.assert_array_equal(given.boxes, [[10, 10, 50, 60]])


def test_predict_yields_results(tmp_path, pose):
    path = tmp_path / "spot.png"
    cv2.imwrite(str(path), spot(160, 120))
    results = list(rtmpose.predict(path, detector=None, pose=pose, whole_image=True))
    assert len(results) == 1
    frame, poses = results[0]
    assert frame.source == str(path)
    assert results[0].draw().shape == frame.image.shape
    assert poses.to_coco(7)[0]["image_id"] == 7


def test_predict_refuses_early(pose):
    with pytest.raises(InputError, match="does not exist"):
        rtmpose.predict("no/such/photo.jpg", detector=None, pose=pose)
    with pytest.raises(InputError, match="box_thr"):
        Pipeline(None, pose, box_thr=2)


# ---- models and engines
# -----------------------------------------------------------------------------------


def test_wrong_kind_of_model(tmp_path, engine):
    with pytest.raises(ModelError, match="not a pose model"):
        PoseEstimator(fixed_detector(tmp_path / "d.onnx", [[0, 0, 1, 1, 0.5]]), options=cpu(engine))
    with pytest.raises(ModelError, match="RTMDet or YOLOX"):
        Detector(spot_pose(tmp_path / "p.onnx"), options=cpu(engine))
    with pytest.raises(ModelError, match="not a detector"):
        Detector(spot_pose(tmp_path / "rtmdet_p.onnx"), options=cpu(engine))


def test_damaged_model(tmp_path, engine):
    whole = spot_pose(tmp_path / "spot.onnx").read_bytes()
    for name, data in (
        ("cut.onnx", whole[: len(whole) // 2]),
        ("noise.onnx", b"not a model"),
        ("empty.onnx", b""),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ModelError, match=name):
            PoseEstimator(tmp_path / name, options=cpu(engine))


@pytest.mark.parametrize(
    ("count", "taken"), [(17, "taken for coco17, by their number"), (5, "called keypoint_0")]
)
def test_keypoints_without_names_are_taken_by_their_number_with_a_word(
    tmp_path, caplog, count, taken
):
    """17 points may be a dog's: a guess is never silent, and a name that is given counts."""
    path = spot_pose(tmp_path / "dog.onnx", keypoints=count)
    PoseEstimator(path)
    assert f"dog.onnx does not name its {count} keypoints: {taken}" in caplog.text
    assert "--skeleton" in caplog.text
    caplog.clear()
    PoseEstimator(path, skeleton=generic_skeleton(count))
    assert not caplog.text


def test_wrong_skeleton(tmp_path):
    from rtmpose import get_skeleton

    with pytest.raises(ModelError, match="17 keypoints, but halpe26 has 26"):
        PoseEstimator(
            spot_pose(tmp_path / "k.onnx"),
            options=cpu("onnxruntime"),
            skeleton=get_skeleton("halpe26"),
        )


def test_normalization_is_exact():
    from rtmpose.backends.onnxruntime import normalization_tables
    from rtmpose.pose_card import RTMPOSE_PIXELS

    tables = normalization_tables(RTMPOSE_PIXELS)
    assert tables[0][0] == pytest.approx(-123.675 / 58.395, rel=1e-6)
    assert tables[2][255] == pytest.approx((255 - 103.53) / 57.375, rel=1e-6)


# ---- heat maps of plain Gaussians


def test_quarter_shift_points_toward_the_higher_neighbor():
    from rtmpose.ops import heatmap

    maps = np.zeros((1, 3, 16, 12), np.float32)
    maps[0, 0, 8, 5], maps[0, 0, 8, 6], maps[0, 0, 7, 5] = 1.0, 0.5, 0.2
    maps[0, 1, 0, 3] = 0.7  # at the border: no neighbor on one side
    keypoints, scores = heatmap.decode_quarter_shift(maps, (48, 64))
    np.testing.assert_allclose(keypoints[0, 0], [5.25 * 4, 7.75 * 4])
    np.testing.assert_allclose(keypoints[0, 1], [3 * 4, 0])
    np.testing.assert_allclose(scores[0], [1.0, 0.7, 0.0])
    assert (keypoints[0, 2] < 0).all()  # an empty map


def test_plain_gaussian_network(tmp_path, engine):
    """The layout of ViTPose's whole-body exports: the plain crop, no UDP."""
    from dataclasses import replace

    from rtmpose import zoo

    path = spot_heatmap(tmp_path / "maps.onnx", input_wh=(192, 256), keypoints=133)
    card = replace(zoo.find("vitpose-s-wholebody"), files=())
    pose = PoseEstimator(path, card=card, options=cpu(engine))
    poses = pose(spot(110, 130), [[60, 40, 180, 200]])
    assert poses.keypoints.shape == (1, 133, 2)
    assert np.abs(poses.keypoints[0] - (110, 130)).max() < 4
    flipped = pose(spot(110, 130), [[60, 40, 180, 200]], flip_test=True)
    assert np.abs(flipped.keypoints[0] - poses.keypoints[0]).max() < 5


def test_a_crowd_larger_than_memory_holds_is_estimated_in_parts(tmp_path, monkeypatch):
    pose = PoseEstimator(spot_pose(tmp_path / "spot.onnx"), options=BackendOptions("onnxruntime"))
    images = [np.full((60, 80, 3), 90, np.uint8)] * 3
    boxes = [[[i, 5, i + 20, 50] for i in range(7)], [], [[3, 4, 30, 44]]]
    whole = pose.estimate_batch(images, boxes)

    # The same people, two at a time.
    for module in ("crowds", "pose_estimator"):
        monkeypatch.setattr(f"rtmpose.{module}.LARGEST_CROWD", 2)
    sizes = []
    infer = pose.infer
    monkeypatch.setattr(pose, "infer", lambda crops: sizes.append(len(crops)) or infer(crops))
    parts = pose.estimate_batch(images, boxes)
    assert max(sizes) == 2
    assert [len(p) for p in parts] == [7, 0, 1]
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(a.boxes, b.boxes)
        np.testing.assert_allclose(a.keypoints, b.keypoints, atol=1e-4)
        np.testing.assert_allclose(a.scores, b.scores, atol=1e-6)
