"""Exported models of others, read by the shapes of what they take and return."""

import importlib.util
import logging
from dataclasses import replace

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'rtmpose[export]'")

from constant_network import SIZE, constant_network  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from rtmpose import Detector, PoseEstimator  # noqa: E402
from rtmpose.backends import BackendOptions  # noqa: E402
from rtmpose.errors import ModelError  # noqa: E402
from rtmpose.families import open_model  # noqa: E402
from rtmpose.onnx_file import onnx_inputs, onnx_outputs  # noqa: E402
from rtmpose.ops import yolo  # noqa: E402
from rtmpose.ops.detector_outputs import read_outputs  # noqa: E402
from rtmpose.zoo import find  # noqa: E402

ENGINES = ["onnxruntime"] + (["openvino"] if importlib.util.find_spec("openvino") else [])
CELLS = 126
"""Of an input of 96 x 64 pixels: 12 x 8 + 6 x 4 + 3 x 2."""


def options(engine="onnxruntime"):
    return BackendOptions(engine, "cpu", 1, precision="fp32")


IMAGE = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
"""As large as the input: boxes come out as they are in the arrays."""
BOXES = np.array([[10, 8, 40, 48], [50, 4, 90, 60]], np.float32)
SCORES = np.array([0.9, 0.6], np.float32)
LABELS = np.array([0, 0], np.int64)


def centered(boxes):
    return np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], axis=1)


def candidates(rows, columns):
    """Candidates with two people, everything else with a score of 0."""
    values = np.zeros((rows, columns), np.float32)
    values[:, :2] = np.linspace(0, 1, rows)[:, None] * SIZE  # over the whole image
    values[:, 2:4] = 3
    values[[20, 30], :4] = centered(BOXES)
    return values


def channels_first(classes=80):
    values = candidates(CELLS, 4 + classes)
    values[[20, 30], 4] = SCORES
    return values.T[None].copy()


def with_objectness(rows=CELLS, classes=80):
    values = candidates(rows, 5 + classes)
    values[[20, 30], 4] = SCORES
    values[:, 5] = 1
    return values[None]


def relative_to_cells():
    """The same before the grid is added: cells of stride 8, row after row."""
    values = with_objectness()
    values[0, :, :4] = 0
    for row, box in zip((20, 30), centered(BOXES), strict=True):
        cell = np.array([row % 12, row // 12])
        values[0, row, :2] = box[:2] / 8 - cell
        values[0, row, 2:4] = np.log(box[2:] / 8)
    return values


def end_to_end():
    rows = np.zeros((1, 10, 6), np.float32)
    rows[0, :2] = np.column_stack([BOXES, SCORES, LABELS])
    return rows


DETS = np.concatenate([BOXES, SCORES[:, None]], axis=1)[None]
DETECTORS = {
    "labels first": {"labels": LABELS[None], "dets": DETS},
    "with masks": {
        "dets": DETS,
        "labels": LABELS[None],
        "masks": np.zeros((1, 2, 8, 8), np.float32),
    },
    "apart": {"boxes": BOXES[None], "scores": SCORES[None], "labels": LABELS[None]},
    "with their number": {
        "num_dets": np.array([[2]], np.int32),
        "boxes": np.pad(BOXES[None], ((0, 0), (0, 3), (0, 0))),
        "scores": np.pad(SCORES[None], ((0, 0), (0, 3)), constant_values=1),
        "classes": np.zeros((1, 5), np.int32),
    },
    "end to end": {"output0": end_to_end()},
    "cells, decoded": {"output": with_objectness()},
    "cells, relative": {"output": relative_to_cells()},
    "cells, one class": {"output": with_objectness(classes=1)},
    "anchors": {"output": with_objectness(rows=3 * CELLS)},
    "channels first": {"output0": channels_first()},
    "channels first, one class": {"output0": channels_first(classes=1)},
    "channels first, half precision": {"output0": channels_first().astype(np.float16)},
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("form", DETECTORS)
def test_detectors(tmp_path, form, engine):
    outputs = DETECTORS[form]
    named = len(outputs) > 1  # how pixels go in follows from the name only
    path = constant_network(tmp_path / ("rtmdet.onnx" if named else "mine.onnx"), outputs)
    found = Detector(path, options=options(engine))(IMAGE)
    np.testing.assert_allclose(found.boxes, BOXES, atol=0.05)
    np.testing.assert_allclose(found.scores, SCORES, atol=1e-3)
    assert found.labels.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("form", "kind", "color", "scale"),
    [
        ("end to end", "yolo", "rgb", 255),
        ("channels first", "yolo", "rgb", 255),
        ("anchors", "yolo", "rgb", 255),
        ("cells, relative", "yolox", "bgr", 1),
    ],
)
def test_pixels_go_in_as_the_family_takes_them(tmp_path, caplog, form, kind, color, scale):
    path = constant_network(tmp_path / "mine.onnx", DETECTORS[form])
    with caplog.at_level(logging.WARNING):
        card = Detector(path, options=options()).card
    assert (card.codec.kind, card.normalization.color) == (kind, color)
    assert card.normalization.std == (scale,) * 3
    assert card.input_wh == SIZE
    assert "mine.onnx is not in the zoo; taken for a YOLO" in caplog.text


def test_a_detector_of_a_fixed_larger_batch(tmp_path):
    dets, labels = np.repeat(DETS, 4, axis=0), np.repeat(LABELS[None], 4, axis=0)
    path = constant_network(
        tmp_path / "rtmdet.onnx",
        {"dets": dets, "labels": labels},
        shape=(4, 3, SIZE[1], SIZE[0]),
    )
    assert len(Detector(path, options=options())(IMAGE)) == 2


def test_what_a_detector_is_not_is_said_with_what_was_found(tmp_path):
    path = constant_network(tmp_path / "mine.onnx", {"features": np.zeros((1, 7, 9), np.float32)})
    with pytest.raises(ModelError) as caught:
        Detector(path, options=options())
    text = str(caught.value)
    assert "takes image (1, 3, 64, 96) and returns features (1, 7, 9)" in text
    assert "(1, 4 + C, A)" in text
    with pytest.raises(ModelError, match=r"\(1, 7, 9\).*read are boxes"):
        read_outputs([np.zeros((1, 7, 9), np.float32)], 0.3, "mine", SIZE)


def test_forms_that_shapes_tell():
    wh = (640, 640)
    assert yolo.form_of((1, 84, 8400), wh) == "channels-first"
    assert yolo.form_of((None, 84, None), wh) == "channels-first"
    assert yolo.form_of((1, 8400, 85), wh) == "cells"
    assert yolo.form_of((1, 8500, 85), wh) == "cells"  # with a stride of 64
    assert yolo.form_of((1, 8400, 6), wh) == "cells"
    assert yolo.form_of((1, 25200, 85), wh) == "anchors"
    assert yolo.form_of((1, 300, 6), wh) == "boxes"
    assert yolo.form_of((1, None, 6), wh) == "boxes"
    assert yolo.form_of((1, 56, 8400), wh) == "people"
    others = [(1, 17, 3), (1, 26, 384), (1, 8400), (1, 100, 5), (None, None, 85), (2, 84, 8400)]
    for shape in others:
        assert yolo.form_of(shape, wh) is None


# ---- pose networks

K = 17
POINTS = np.random.default_rng(0).uniform(5, 60, (1, K, 2)).astype(np.float32)
POINT_SCORES = np.linspace(0.4, 0.9, K, dtype=np.float32)[None]
WHOLE = np.array([[0, 0, SIZE[0], SIZE[1]]], np.float32) * 0.8 + 2


def poses_of(path, engine="onnxruntime", **known):
    return PoseEstimator(path, options=options(engine), **known)(IMAGE, WHOLE)


@pytest.mark.parametrize("engine", ENGINES)
def test_poses_that_are_decoded_inside(tmp_path, engine):
    together = np.concatenate([POINTS, POINT_SCORES[..., None]], axis=2)
    one = poses_of(constant_network(tmp_path / "a.onnx", {"output": together}), engine)
    two = poses_of(
        constant_network(tmp_path / "b.onnx", {"pts": POINTS, "conf": POINT_SCORES}), engine
    )
    assert one.skeleton.name == "coco17"
    np.testing.assert_allclose(one.scores, POINT_SCORES, atol=1e-6)
    np.testing.assert_array_equal(one.keypoints, two.keypoints)
    # The box, padded by 1.25, is as large as the crop: pixels are moved only.
    moved = one.keypoints - POINTS
    np.testing.assert_allclose(moved, np.broadcast_to(moved[:, :1], moved.shape), atol=0.01)


def simcc(ratio=2):
    x = np.zeros((1, K, SIZE[0] * ratio), np.float32)
    y = np.zeros((1, K, SIZE[1] * ratio), np.float32)
    x[0, np.arange(K), 10 * ratio] = 0.9
    y[0, np.arange(K), 20 * ratio] = 0.8
    return {"simcc_x": x, "simcc_y": y}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        ((1, 3, SIZE[1], SIZE[0]), TensorProto.FLOAT),
        ((1, 3, "height", "width"), TensorProto.FLOAT),
        ((1, SIZE[1], SIZE[0], 3), TensorProto.FLOAT),
        ((1, 3, SIZE[1], SIZE[0]), TensorProto.FLOAT16),
        ((1, SIZE[1], SIZE[0], 3), TensorProto.FLOAT16),
    ],
)
def test_inputs_of_many_kinds(tmp_path, engine, shape, kind):
    path = constant_network(tmp_path / "m.onnx", simcc(), shape=shape, kind=kind)
    model = PoseEstimator(path, options=options(engine))
    assert model.card.input_wh == SIZE
    assert model.card.codec.split_ratio == 2
    poses = model(IMAGE, np.repeat(WHOLE, 3, axis=0))  # more people than the batch of 1
    np.testing.assert_allclose(poses.scores, 0.8, atol=1e-3)
    assert len(poses) == 3


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.FLOAT16])
@pytest.mark.parametrize("last", [False, True])
def test_pixels_arrive_where_channels_are_last(tmp_path, engine, kind, last):
    """The network returns the mean of each channel: they are those of the normalized crop."""
    width, height = SIZE
    shape = (1, height, width, 3) if last else (1, 3, height, width)
    nodes = [
        helper.make_node("Cast", ["image"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["f"], ["m"], axes=[1, 2] if last else [2, 3], keepdims=0),
        helper.make_node("Unsqueeze", ["m", "axis"], ["points"]),
    ]
    graph = helper.make_graph(
        nodes,
        "means",
        [helper.make_tensor_value_info("image", kind, shape)],
        [helper.make_tensor_value_info("points", TensorProto.FLOAT, (1, 1, 3))],
        [numpy_helper.from_array(np.array([1]), "axis")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(tmp_path / "m.onnx"))
    estimator = PoseEstimator(tmp_path / "m.onnx", options=options(engine))
    crop = np.empty((1, height, width, 3), np.uint8)
    crop[:] = (10, 100, 200)  # BGR
    (means,) = estimator.infer(crop)
    pixels = estimator.card.normalization  # RGB
    expected = (np.array([200, 100, 10]) - pixels.mean) / pixels.std
    np.testing.assert_allclose(means[0, 0], expected, atol=0.01)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("declared", [None, {"simcc_x": None, "simcc_y": None}])
def test_vectors_of_y_before_those_of_x(tmp_path, engine, declared):
    vectors = simcc()
    in_order = constant_network(tmp_path / "a.onnx", vectors)
    other = {name: vectors[name] for name in ("simcc_y", "simcc_x")}
    swapped = constant_network(tmp_path / "b.onnx", other, declared=declared)
    expected, found = poses_of(in_order, engine), poses_of(swapped, engine)
    np.testing.assert_array_equal(found.keypoints, expected.keypoints)
    np.testing.assert_array_equal(found.scores, expected.scores)

    # With the card of a model too, and with the average of both directions.
    card = replace(find("rtmpose-s-coco17"), input_wh=SIZE, id="mine")
    known = poses_of(swapped, engine, card=card)
    np.testing.assert_array_equal(known.keypoints, expected.keypoints)
    averaged = [
        PoseEstimator(path, options=options(engine))(IMAGE, WHOLE, flip_test=True)
        for path in (in_order, swapped)
    ]
    np.testing.assert_array_equal(averaged[0].keypoints, averaged[1].keypoints)


def test_other_numbers_of_bins(tmp_path):
    path = constant_network(tmp_path / "m.onnx", simcc(ratio=3))
    assert PoseEstimator(path, options=options()).card.codec.split_ratio == 3


def test_outputs_without_declared_shapes(tmp_path):
    path = constant_network(
        tmp_path / "m.onnx", simcc(), declared={"simcc_x": None, "simcc_y": None}
    )
    assert PoseEstimator(path, options=options()).card.codec.split_ratio == 2


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        ({"a": np.zeros((1, 17, 5), np.float32)}, r"a \(1, 17, 5\)"),
        ({"a": np.zeros((1, 99), np.float32)}, r"a \(1, 99\)"),
        (
            {"x": np.zeros((1, 17, 96), np.float32), "y": np.zeros((1, 17, 96), np.float32)},
            r"x \(1, 17, 96\), y \(1, 17, 96\)",
        ),
    ],
)
def test_what_a_pose_model_is_not_is_said_with_what_was_found(tmp_path, outputs, words):
    path = constant_network(tmp_path / "m.onnx", outputs)
    with pytest.raises(ModelError, match=f"takes image .*returns {words}.*Read are SimCC"):
        PoseEstimator(path, options=options())


def test_a_file_without_any_size(tmp_path):
    path = constant_network(
        tmp_path / "m.onnx",
        {"p": np.zeros((1, 17, 3), np.float32)},
        shape=(1, 3, "height", "width"),
    )
    with pytest.raises(ModelError, match=r"no input size: it takes image \(1, 3, \?, \?\)"):
        PoseEstimator(path, options=options())


@pytest.mark.parametrize("engine", ENGINES)
def test_a_pose_model_of_the_yolo_family(tmp_path, engine, caplog):
    values = np.zeros((CELLS, 5 + 3 * K), np.float32)
    values[:, 2:4] = 3
    values[[20, 30], :4] = centered(BOXES)
    values[[20, 30], 4] = SCORES
    points = np.concatenate([POINTS[0], POINT_SCORES[0][:, None]], axis=1)
    values[[20, 30], 5:] = points.ravel()
    path = constant_network(tmp_path / "mine.onnx", {"output0": values.T[None].copy()})
    model = open_model(pose=path, options=options(engine))
    assert model.finds_people
    (poses,) = model.estimate([IMAGE])
    # Two people with the same keypoints are one.
    np.testing.assert_allclose(poses.boxes, BOXES[:1], atol=0.05)
    np.testing.assert_allclose(poses.keypoints, POINTS, atol=0.05)
    np.testing.assert_allclose(poses.scores, POINT_SCORES, atol=1e-3)
    assert "YOLO pose model" in caplog.text
    found = Detector(path, options=options(engine))(IMAGE)
    np.testing.assert_allclose(found.boxes, BOXES, atol=0.05)


# ---- what a file says without an engine


def test_inputs_without_the_weights_among_them(tmp_path):
    path = constant_network(tmp_path / "m.onnx", simcc())
    model = onnx.load(str(path))
    weight = model.graph.initializer[0]
    model.graph.input.append(
        helper.make_tensor_value_info(weight.name, weight.data_type, weight.dims)
    )
    onnx.save(model, str(path))
    content = path.read_bytes()
    assert onnx_inputs(content) == [("image", (1, 3, 64, 96))]
    assert [name for name, _ in onnx_outputs(content)] == ["simcc_x", "simcc_y"]


@pytest.mark.parametrize(
    "outputs",
    [
        (np.zeros((1, 0, 5), np.float32), np.zeros((1, 0), np.int64)),
        (np.zeros((1, 0), np.int64), np.zeros((1, 0, 5), np.float32)),
        (
            np.zeros((1, 0, 4), np.float32),
            np.zeros((1, 0), np.float32),
            np.zeros((1, 0), np.int64),
        ),
    ],
)
def test_nobody_is_a_result_of_a_detector(outputs):
    """Files with the suppression inside return no rows for an empty image."""
    from rtmpose.ops.detector_outputs import read_outputs

    assert len(read_outputs(outputs, 0.3, "m")) == 0
