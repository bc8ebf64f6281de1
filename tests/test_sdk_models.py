"""The C library against the package on kinds of models that are not bundled, made in the test."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="makes models with the onnx package")
from networks import (  # noqa: E402
    fixed_detector,
    fixed_people,
    grid_detector,
    spot_heatmap,
    spot_person,
    spot_pose,
)
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

import rtmpose  # noqa: E402
from rtmpose.cards.io import card_to_json  # noqa: E402
from rtmpose.pose_card import assumed_card  # noqa: E402

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "build" / "sdk" / "install" / "lib" / "librtmpose.so"
ORT = rtmpose.BackendOptions("onnxruntime", "cpu", 1, False, "fp32")
BOXES = np.array([[5, 8, 60, 110], [-20.5, 30, 70.25, 140], [100, 3, 141, 95]], np.float32)


@pytest.fixture(scope="module")
def engine():
    """The opened C library."""
    library = Path(os.environ.get("RTMPOSE_SDK_LIBRARY", LIBRARY))
    if not library.is_file():
        pytest.skip("the SDK is not built: make sdk")
    spec = importlib.util.find_spec("onnxruntime")
    found = next((Path(spec.origin).parent / "capi").glob("libonnxruntime.so*"))
    os.environ.setdefault("RTMPOSE_ONNXRUNTIME", str(found))
    code = importlib.util.spec_from_file_location(
        "sdk_library", ROOT / "sdk" / "conformance" / "library.py"
    )
    module = importlib.util.module_from_spec(code)
    sys.modules["sdk_library"] = module  # dataclasses look their module up
    code.loader.exec_module(module)
    yield module.Library(library)
    sys.modules.pop("sdk_library")


def photo(width=160, height=120):
    """Soft spots on noise."""
    rng = np.random.default_rng(3)
    image = rng.uniform(0, 60, (height, width, 3))
    y, x = np.mgrid[:height, :width]
    for cx, cy in ((32, 50), (70, 90), (121, 40)):
        near = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 200)
        image += near[..., None] * np.array([20, 60, 190])
    return image.clip(0, 255).astype(np.uint8)


def random_maps(path, keypoints=17, wh=(48, 64)):
    """Heat maps that are a random convolution of the image: many peaks, also at the border."""
    rng = np.random.default_rng(1)
    weights = rng.normal(0, 0.05, (keypoints, 3, 7, 7)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["input", "w"], ["c"], strides=[4, 4], pads=[2, 2, 2, 2]),
        helper.make_node("Sigmoid", ["c"], ["heatmap"]),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "g",
        [value("input", TensorProto.FLOAT, ["batch", 3, wh[1], wh[0]])],
        [value("heatmap", TensorProto.FLOAT, ["batch", keypoints, "h", "w"])],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path)
    return path


def same_poses(engine, path, boxes=BOXES, within=0.01):
    pose = rtmpose.PoseEstimator(path, options=ORT)
    expected = pose(photo(), boxes)
    handle = engine.pose_detector(engine.open(path))
    found = engine.estimate(handle, photo(), boxes)
    distances = np.linalg.norm(found.keypoints - expected.keypoints, axis=2)
    assert np.median(distances) < 0.01
    assert np.percentile(distances, 95) < within
    assert found.scores == pytest.approx(expected.scores, abs=1e-3)


@pytest.mark.parametrize("make", [spot_pose, spot_heatmap])
def test_poses_of_networks_without_a_card(engine, tmp_path, make):
    same_poses(engine, make(tmp_path / "pose.onnx", input_wh=(192, 256)))


@pytest.mark.parametrize("kind", ["heatmap", "gaussian"])
@pytest.mark.parametrize("sigma", [(), (2.0,), (3.0,)])
def test_heat_maps_with_many_peaks(engine, tmp_path, kind, sigma):
    path = random_maps(tmp_path / "maps.onnx")
    card = assumed_card(path)
    codec = replace(card.codec, kind=kind, sigma=sigma, heatmap_wh=(12, 16))
    card = replace(card, input_wh=(48, 64), codec=codec)
    Path(f"{path}.card.json").write_text(card_to_json(card), encoding="utf-8")
    same_poses(engine, path)


def same_boxes(engine, path, image, box_thr):
    expected = rtmpose.Detector(path, options=ORT)(image, box_thr=box_thr)
    found = engine.detect(engine.detector(engine.open(path)), image, box_thr)
    assert len(found.boxes) == len(expected.boxes) > 0
    assert found.boxes == pytest.approx(expected.boxes, abs=0.01)
    assert found.scores == pytest.approx(expected.scores, abs=1e-4)


def test_boxes_of_networks_without_a_card(engine, tmp_path):
    dets = [[4, 4, 24, 60, 0.9], [30, 5, 60, 50, 0.4], [0, 0, 9, 9, 0.2]]
    same_boxes(engine, fixed_detector(tmp_path / "yolox.onnx", dets), photo(), 0.3)
    same_boxes(engine, grid_detector(tmp_path / "yolox_grid.onnx"), photo(), 0.2)


def test_yolox_tiny(engine):
    path = next(Path.home().glob(".cache/rtmpose/weights/yolox_tiny*.onnx"), None)
    if path is None:
        pytest.skip("YOLOX-tiny was not fetched on this machine")
    import cv2

    for name in ("000000541055", "000000427077"):
        image = cv2.imread(str(ROOT / "rtmpose" / "assets" / "photos" / f"{name}.jpg"))
        same_boxes(engine, path, image, 0.3)


@pytest.mark.parametrize("size", [(160, 120), (30, 200), (64, 64)])
def test_people_of_one_stage_networks(engine, tmp_path, size):
    people = [[4, 4, 24, 60, 0.9], [5, 5, 24, 60, 0.8], [30, 10, 55, 50, 0.6], [0, 0, 9, 9, 0.01]]
    for path in (
        fixed_people(tmp_path / "people.onnx", people),
        spot_person(tmp_path / "spot.onnx"),
    ):
        image = photo(*size)
        expected = rtmpose.OneStage(path, options=ORT)(image)
        handle = engine.pose_detector(engine.open(path))
        found = engine.estimate(handle, image, None)
        assert len(found.boxes) == len(expected)
        assert found.boxes == pytest.approx(expected.boxes, abs=0.01)
        assert found.keypoints == pytest.approx(expected.keypoints, abs=0.01)
        assert found.scores == pytest.approx(expected.scores, abs=1e-4)


def sdk_folder(path):
    """A pose network as the deployment SDK has it."""
    path.mkdir()
    spot_pose(path / "end2end.onnx", input_wh=(192, 256))
    deploy = {"models": [{"name": "rtmpose", "net": "end2end.onnx"}]}
    (path / "deploy.json").write_text(json.dumps(deploy))
    transforms = [
        {"type": "TopDownAffine", "image_size": [192, 256]},
        {"type": "Normalize", "mean": [100, 110, 120], "std": [50, 60, 70], "to_rgb": False},
    ]
    decode = {"component": "SimCCLabelDecode", "params": {"simcc_split_ratio": 2.0}}
    tasks = [{"module": "Transform", "transforms": transforms}, {"module": "mmpose", **decode}]
    (path / "pipeline.json").write_text(json.dumps({"pipeline": {"tasks": tasks}}))
    return path


def test_folders_of_the_deployment_sdk(engine, tmp_path):
    same_poses(engine, sdk_folder(tmp_path / "pose"))
