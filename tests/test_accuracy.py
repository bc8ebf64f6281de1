"""COCO accuracy of the genuine models on 280 annotated photographs. Needs the evaluation data;
takes minutes.
"""

import importlib.util

import pytest

from rtmpose import BackendOptions, Detector, PoseEstimator
from rtmpose.errors import ModelError
from rtmpose.evaluation import KeypointDataset, evaluate
from rtmpose.evaluation.calibration import calibrate_model
from rtmpose.evaluation.detection import evaluate_detector
from rtmpose.zoo import find, resolve

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

ORT = BackendOptions("onnxruntime", "cpu")


@pytest.fixture(scope="module")
def data(shared):
    return KeypointDataset.load(shared / "data" / "coco_val_subset")


@pytest.fixture(scope="module")
def pose(rtmpose_s):
    return PoseEstimator(rtmpose_s, options=ORT)


def ap(result):
    return 100 * result.metrics["AP"]


@pytest.fixture(scope="module")
def in_true_boxes(data, pose):
    return evaluate(data, pose)


def test_ground_truth_boxes(in_true_boxes):
    result = in_true_boxes
    assert ap(result) == pytest.approx(70.58, abs=0.1)
    assert result.images == 280
    assert result.metrics["PCK@0.2"] > 0.9


def test_flip_test(data, pose):
    assert ap(evaluate(data, pose, flip_test=True)) == pytest.approx(71.61, abs=0.1)


def test_rtmdet_boxes(data, pose, rtmdet_nano):
    detector = Detector(rtmdet_nano, options=ORT)
    assert ap(evaluate(data, pose, boxes="detect", detector=detector)) == pytest.approx(
        66.71, abs=0.1
    )


def test_yolox_boxes(data, pose):
    try:
        path, _ = resolve("yolox-tiny")
    except ModelError:
        pytest.skip("needs the yolox-tiny detector, in the cache or from the package index")
    detector = Detector(path, options=ORT)
    assert ap(evaluate(data, pose, boxes="detect", detector=detector)) == pytest.approx(
        68.83, abs=0.1
    )


def test_box_ap(data, rtmdet_nano):
    result = evaluate_detector(data, Detector(rtmdet_nano, options=ORT))
    assert ap(result) == pytest.approx(46.96, abs=0.1)


def test_calibration(data, pose, in_true_boxes):
    """The bar is on photos that the fit has not seen; the shipped numbers are those of this fit."""
    report = calibrate_model(data, pose.skeleton, in_true_boxes)
    assert report.ece_raw > 0.25
    assert report.ece_cross_validated <= 0.01
    assert report.points == 8059
    shipped = find("rtmpose-s").calibration
    assert report.calibration.slope[0] == pytest.approx(shipped.slope[0], abs=0.05)
    assert report.calibration.offset[0] == pytest.approx(shipped.offset[0], abs=0.05)


@pytest.mark.skipif(not importlib.util.find_spec("openvino"), reason="OpenVINO is not installed")
def test_prepared_bf16_loses_little(data, rtmpose_s):
    from rtmpose.backends.openvino_network import cpu_has_bf16

    if not cpu_has_bf16():
        pytest.skip("this CPU has no bfloat16")
    prepared = PoseEstimator(rtmpose_s, options=BackendOptions("openvino", "cpu", precision="bf16"))
    assert ap(evaluate(data, prepared)) >= 70.28


@pytest.mark.skipif(not importlib.util.find_spec("openvino"), reason="OpenVINO is not installed")
def test_prepared_int8_loses_little(data, rtmpose_s):
    from rtmpose.backends.cpu import this_cpu

    if this_cpu().kind not in ("amx", "avx512-bf16", "vnni"):
        pytest.skip("this CPU multiplies bytes with saturation or not at all")
    prepared = PoseEstimator(rtmpose_s, options=BackendOptions("openvino", "cpu", precision="int8"))
    assert ap(evaluate(data, prepared)) >= 70.58 - 0.4


@pytest.fixture(scope="module")
def ours(data):
    """The default pair in fp32, which is the same on every CPU."""
    return Detector(options=ORT), PoseEstimator(options=ORT)


def test_our_pose_model(data, ours):
    result = evaluate(data, ours[1])
    assert ap(result) == pytest.approx(70.50, abs=0.1)
    report = calibrate_model(data, ours[1].skeleton, result)
    assert report.ece_cross_validated <= 0.01
    assert report.calibration.slope[0] == pytest.approx(ours[1].card.calibration.slope[0], abs=0.05)


def test_our_detector(data, ours):
    assert ap(evaluate_detector(data, ours[0])) == pytest.approx(47.33, abs=0.1)


def test_our_pair(data, ours):
    assert ap(evaluate(data, ours[1], boxes="detect", detector=ours[0])) == pytest.approx(
        67.59, abs=0.1
    )


def test_export_up_to_the_head_agrees(data, rtmdet_nano, rtmdet_nano_raw):
    """Our decoding and suppression against those inside the other export of the same weights."""
    from rtmpose.sources import read_image

    inside, outside = (
        Detector(p, options=ORT, box_thr=0.3) for p in (rtmdet_nano, rtmdet_nano_raw)
    )
    for path in list(data.images.values())[:10]:
        image = read_image(path)
        a, b = inside(image), outside(image)
        assert len(a) == len(b)
        assert abs(a.boxes - b.boxes).max(initial=0) < 0.05
