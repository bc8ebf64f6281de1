"""The whole pipeline as one ONNX graph."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: pip install 'rtmpose[export]'")
pytest.importorskip("onnx")
pytest.importorskip(
    "onnxscript", reason="onnxscript is not installed: pip install 'rtmpose[export]'"
)

from exportable import BOX_CARD, MAP_CARD, POSE_CARD, heatmap_network, pose_network

from rtmpose import zoo
from rtmpose.backends.sample_images import bundled_photos
from rtmpose.errors import ModelError
from rtmpose.exporting.onnx import write_onnx
from rtmpose.exporting.pipeline import write_pipeline
from rtmpose.networks import load_network


@pytest.fixture(scope="module")
def one_graph(tmp_path_factory, request):
    """The pipeline graph of genuine networks, and the Python pipeline of the same files."""
    from rtmpose import Pipeline

    shared = request.getfixturevalue("shared")
    folder = tmp_path_factory.mktemp("graph")
    pose_file = next((shared / "weights" / "rtmpose").glob("rtmpose-s*.onnx"))
    network, card = load_network(pose_file)
    write_onnx(network, card, folder / "pose.onnx")
    box_card = zoo.find("rtmdet-nano")
    boxes, _ = load_network(
        shared / "weights" / "rtmdet" / "rtmdet-nano_person_320_nms.onnx", card=box_card
    )
    write_onnx(boxes, box_card, folder / "box.onnx")
    write_pipeline(folder / "box.onnx", box_card, folder / "pose.onnx", card, folder / "all.onnx")
    everybody = {"backend": "onnxruntime", "threads": 1, "person_thr": 0}
    python = Pipeline(folder / "box.onnx", folder / "pose.onnx", **everybody)
    return folder / "all.onnx", python


def run_graph(path, image, boxes=None):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    given = np.zeros((0, 4), np.float32) if boxes is None else boxes
    feed = {"image": image, "boxes_in": given, "detect": np.array(boxes is None)}
    return session.run(["boxes", "box_scores", "keypoints", "scores"], feed)


def test_one_graph_equals_the_python_pipeline(one_graph):
    path, python = one_graph
    distances = []
    for image in bundled_photos():
        boxes, scores, keypoints, _ = run_graph(path, image)
        poses = python(image)
        assert len(boxes) == len(poses)
        np.testing.assert_allclose(scores, poses.box_scores, atol=5e-3)
        distances.append(np.linalg.norm(keypoints - poses.keypoints, axis=2)[poses.scores > 0.3])
    distance = np.concatenate(distances)
    assert np.median(distance) < 0.1
    assert np.percentile(distance, 95) < 0.7


@pytest.mark.parametrize("size", [(1, 1), (333, 101), (64, 997), (2160, 3840)])
def test_one_graph_takes_any_size(one_graph, size):
    import cv2

    path, python = one_graph
    image = cv2.resize(bundled_photos()[0], size[::-1])
    boxes, _, keypoints, scores = run_graph(path, image)
    assert len(boxes) == len(keypoints) == len(scores) == len(python(image))


def test_one_graph_without_people_and_with_given_boxes(one_graph):
    path, python = one_graph
    empty = run_graph(path, np.full((480, 640, 3), 127, np.uint8))
    assert [v.shape for v in empty] == [(0, 4), (0,), (0, 26, 2), (0, 26)]
    image = bundled_photos()[0]
    poses = python(image)
    boxes, scores, keypoints, _ = run_graph(path, image, poses.boxes)
    np.testing.assert_array_equal(boxes, poses.boxes)
    np.testing.assert_array_equal(scores, 1)
    assert np.median(np.linalg.norm(keypoints - poses.keypoints, axis=2)) < 0.1
    assert run_graph(path, image, np.zeros((0, 4), np.float32))[2].shape == (0, 26, 2)


@pytest.mark.slow
def test_the_default_pair_joins_and_agrees(tmp_path):
    from rtmpose import Detector, Pipeline
    from rtmpose.backends import BackendOptions
    from rtmpose.exporting.options import ExportOptions

    names = {"pose.onnx": "rtmpose-s-finetuned", "box.onnx": ExportOptions("pipeline").detector}
    cards = {}
    for file, name in names.items():
        network, cards[file] = load_network(name)
        write_onnx(network, cards[file], tmp_path / file)
    path = tmp_path / "all.onnx"
    write_pipeline(
        tmp_path / "box.onnx", cards["box.onnx"], tmp_path / "pose.onnx", cards["pose.onnx"], path
    )
    options = BackendOptions("onnxruntime", "cpu", 1)
    python = Pipeline(
        Detector(options=options),
        person_thr=0,
        backend="onnxruntime",
        device="cpu",
        threads=1,
    )
    for image in bundled_photos()[:2]:
        boxes, scores, keypoints, _ = run_graph(path, image)
        poses = python(image)
        assert len(boxes) == len(poses) > 3
        np.testing.assert_allclose(scores, poses.box_scores, atol=5e-3)
        distance = np.linalg.norm(keypoints - poses.keypoints, axis=2)[poses.scores > 0.3]
        assert np.median(distance) < 0.1


def test_outputs_stand_in_the_order_of_the_page(one_graph):
    import onnx

    order = [o.name for o in onnx.load(str(one_graph[0])).graph.output]
    assert order == ["keypoints", "scores", "boxes", "box_scores"]


def test_one_graph_refuses_what_does_not_fit(one_graph, tmp_path):
    pose_file, map_file = tmp_path / "pose.onnx", tmp_path / "map.onnx"
    write_onnx(pose_network(), POSE_CARD, pose_file)
    write_onnx(heatmap_network(), MAP_CARD, map_file)
    box = one_graph[0].with_name("box.onnx")
    with pytest.raises(ModelError, match="dets and labels"):
        write_pipeline(pose_file, BOX_CARD, pose_file, POSE_CARD, tmp_path / "a.onnx")
    with pytest.raises(ModelError, match="not a SimCC"):
        write_pipeline(box, BOX_CARD, map_file, MAP_CARD, tmp_path / "a.onnx")
