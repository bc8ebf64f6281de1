"""Tiny ONNX networks that do something checkable, so that most tests need no weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from rtmpose.cards.io import KEY, card_to_json
from rtmpose.onnx_file import with_onnx_metadata
from rtmpose.pose_card import assumed_card

Arrays = dict[str, np.ndarray]


def _save(path: Path, nodes: list, inputs: list, outputs: list, constants: Arrays) -> Path:
    graph = helper.make_graph(
        nodes, "g", inputs, outputs, [numpy_helper.from_array(v, k) for k, v in constants.items()]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def spot_pose(
    path: Path,
    *,
    input_wh=(48, 64),
    keypoints: int = 17,
    batch: int | str = "batch",
    named: bool = False,
) -> Path:
    """A SimCC network whose every keypoint sits on the column and row that are the reddest on
    average; ``named`` gives it a card that says they are those of COCO.

    It looks at the first channel of the network's order only: red if the runtime turns BGR into
    RGB.
    """
    w, h = input_wh
    constants = {
        "first": np.array([1, 0, 0], np.float32).reshape(1, 3, 1, 1),
        "to_x": np.repeat(np.eye(w, dtype=np.float32), 2, axis=1),
        "to_y": np.repeat(np.eye(h, dtype=np.float32), 2, axis=1),
        "tile": np.array([1, keypoints, 1], np.int64),
        "axis1": np.array([1], np.int64),
        "lift": np.array(
            [2.2], np.float32
        ),  # normalized black is -2.1, and scores must be positive
    }
    nodes = [
        helper.make_node("Mul", ["input", "first"], ["red3"]),
        helper.make_node("ReduceSum", ["red3", "axis1"], ["red0"], keepdims=0),
        helper.make_node("Add", ["red0", "lift"], ["red"]),
        helper.make_node("ReduceMean", ["red"], ["col"], axes=[1], keepdims=1),
        helper.make_node("ReduceMean", ["red"], ["row_"], axes=[2], keepdims=1),
        helper.make_node("Transpose", ["row_"], ["row"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["col", "to_x"], ["x1"]),
        helper.make_node("MatMul", ["row", "to_y"], ["y1"]),
        helper.make_node("Tile", ["x1", "tile"], ["simcc_x"]),
        helper.make_node("Tile", ["y1", "tile"], ["simcc_y"]),
    ]
    value = helper.make_tensor_value_info
    inputs = [value("input", TensorProto.FLOAT, [batch, 3, h, w])]
    outputs = [
        value("simcc_x", TensorProto.FLOAT, [batch, keypoints, 2 * w]),
        value("simcc_y", TensorProto.FLOAT, [batch, keypoints, 2 * h]),
    ]
    _save(path, nodes, inputs, outputs, constants)
    if named:
        card = replace(assumed_card(path), input_wh=input_wh, skeleton="coco17")
        path.write_bytes(with_onnx_metadata(path.read_bytes(), KEY, card_to_json(card)))
    return path


def spot_heatmap(path: Path, *, input_wh=(48, 64), keypoints: int = 17) -> Path:
    """A heat-map network: the first channel, averaged over 4x4 pixels, for every keypoint."""
    w, h = input_wh
    constants = {
        "first": np.array([1, 0, 0], np.float32).reshape(1, 3, 1, 1),
        "axis1": np.array([1], np.int64),
        "lift": np.array(
            [2.2], np.float32
        ),  # normalized black is -2.1, and scores must be positive
    }
    nodes = [
        helper.make_node("Mul", ["input", "first"], ["red3"]),
        helper.make_node("ReduceSum", ["red3", "axis1"], ["red0"], keepdims=1),
        helper.make_node("Add", ["red0", "lift"], ["red"]),
        helper.make_node("AveragePool", ["red"], ["small"], kernel_shape=[4, 4], strides=[4, 4]),
        # Not Tile: OpenVINO 2026.4 gets it wrong behind a pooling with a dynamic batch.
        helper.make_node("Concat", ["small"] * keypoints, ["heatmap"], axis=1),
    ]
    value = helper.make_tensor_value_info
    return _save(
        path,
        nodes,
        [value("input", TensorProto.FLOAT, ["batch", 3, h, w])],
        [value("heatmap", TensorProto.FLOAT, ["batch", keypoints, h // 4, w // 4])],
        constants,
    )


def fixed_detector(path: Path, dets: list[list[float]], *, size: int = 64) -> Path:
    """A detector that always finds the given boxes x1, y1, x2, y2, score in input pixels."""
    boxes = np.array(dets, np.float32).reshape(1, -1, 5)
    constants = {
        "dets0": boxes,
        "labels0": np.zeros(boxes.shape[:2], np.int64),
        "zero": np.zeros(1, np.float32),
        "axes": np.array([0, 1, 2, 3], np.int64),
    }
    nodes = [
        helper.make_node("ReduceSum", ["input", "axes"], ["sum"], keepdims=0),
        helper.make_node("Mul", ["sum", "zero"], ["nothing"]),
        helper.make_node("Add", ["dets0", "nothing"], ["dets"]),
        helper.make_node("Identity", ["labels0"], ["labels"]),
    ]
    value = helper.make_tensor_value_info
    return _save(
        path,
        nodes,
        [value("input", TensorProto.FLOAT, [1, 3, size, size])],
        [
            value("dets", TensorProto.FLOAT, list(boxes.shape)),
            value("labels", TensorProto.INT64, list(boxes.shape[:2])),
        ],
        constants,
    )


def color_classifier(path: Path, *, size: int = 32):
    """A classifier of three classes: how red, green and blue an image is. Its card comes first."""
    from rtmpose.model_card import Codec, ModelCard, Normalization

    constants = {"shape": np.array([-1, 3], np.int64)}
    nodes = [
        helper.make_node("GlobalAveragePool", ["input"], ["mean"]),
        helper.make_node("Reshape", ["mean", "shape"], ["logits"]),
    ]
    value = helper.make_tensor_value_info
    _save(
        path,
        nodes,
        [value("input", TensorProto.FLOAT, ["batch", 3, size, size])],
        [value("logits", TensorProto.FLOAT, ["batch", 3])],
        constants,
    )
    pixels = Normalization((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "rgb")
    card = ModelCard(
        "colors", "image classification", "colors", (size, size), pixels, Codec("classifier")
    )
    return card, path


def grid_detector(path: Path, *, size: int | str = 96) -> Path:
    """A one-class detector with YOLOX's habit of constants with one row per cell; boxes sit on
    bright cells.

    Every cell of strides 8, 16 and 32 proposes a box of twice its stride around its center, scored
    by the mean of its pixels over 255. ``size`` as text leaves height and width open, and the
    constants out: then every cell proposes the box 2, 2, 10, 10.
    """
    value = helper.make_tensor_value_info
    fixed = isinstance(size, int)
    sides = [size, size] if fixed else ["height", "width"]
    nodes, columns = [helper.make_node("ReduceMean", ["input"], ["gray"], axes=[1], keepdims=1)], []
    for stride in (8, 16, 32):
        window = {"kernel_shape": [stride, stride], "strides": [stride, stride]}
        nodes.append(helper.make_node("AveragePool", ["gray"], [f"mean{stride}"], **window))
        nodes.append(helper.make_node("Reshape", [f"mean{stride}", "rows"], [f"column{stride}"]))
        columns.append(f"column{stride}")
    nodes.append(helper.make_node("Concat", columns, ["bright"], axis=1))
    nodes.append(helper.make_node("Mul", ["bright", "scale"], ["scores"]))
    nodes.append(helper.make_node("Mul", ["scores", "zero"], ["nothing"]))
    constants = {
        "rows": np.array([1, -1, 1], np.int64),
        "scale": np.array([1 / 255], np.float32),
        "zero": np.zeros((1, 1, 4), np.float32),
        "flat": np.array([1, -1], np.int64),
    }
    if fixed:
        boxes = []
        for stride in (8, 16, 32):
            y, x = np.mgrid[: size // stride, : size // stride] * stride + stride / 2
            boxes.append(
                np.stack([x - stride, y - stride, x + stride, y + stride], axis=-1).reshape(-1, 4)
            )
        constants["boxes"] = np.concatenate(boxes).astype(np.float32)
    else:
        constants["boxes"] = np.array([[2, 2, 10, 10]], np.float32)
    nodes.append(helper.make_node("Add", ["nothing", "boxes"], ["corners"]))
    nodes.append(helper.make_node("Concat", ["corners", "scores"], ["dets"], axis=2))
    nodes.append(helper.make_node("Reshape", ["nothing_", "flat"], ["labels_"]))
    nodes.insert(-1, helper.make_node("Mul", ["scores", "zero1"], ["nothing_"]))
    constants["zero1"] = np.zeros(1, np.float32)
    nodes.append(helper.make_node("Cast", ["labels_"], ["labels"], to=TensorProto.INT64))
    inputs = [value("input", TensorProto.FLOAT, [1, 3, *sides])]
    outputs = [
        value("dets", TensorProto.FLOAT, [1, "n", 5]),
        value("labels", TensorProto.INT64, [1, "n"]),
    ]
    return _save(path, nodes, inputs, outputs, constants)


def fixed_people(
    path: Path,
    people: list[list[float]],
    *,
    size: int = 64,
    keypoints: int = 17,
    batch: int | str = "batch",
    declared: bool = True,
) -> Path:
    """A one-stage network of RTMO's layout that always finds the given people.

    Args:
        path: Where to.
        people: x1, y1, x2, y2, score in input pixels; the keypoints of a person lie on the diagonal
            of the box, the first in its corner, and score a tenth less than the box.
        size: Of the input.
        keypoints: Per person.
        batch: Images per call.
        declared: Whether the outputs say their last dimensions.
    """
    rows = np.array(people, np.float32).reshape(1, -1, 5)
    step = np.linspace(0, 1, keypoints, dtype=np.float32)[None, None, :, None]
    low, high = rows[:, :, None, :2], rows[:, :, None, 2:4]
    scores = np.broadcast_to(rows[:, :, None, 4:] * 0.9, (*rows.shape[:2], keypoints, 1))
    points = np.concatenate([low + step * (high - low), scores], axis=3).astype(np.float32)
    constants = {
        "dets0": rows,
        "points0": points,
        "zero": np.zeros(1, np.float32),
        "axes": np.array([1, 2, 3], np.int64),
        "as_dets": np.array([-1, 1, 1], np.int64),
        "as_points": np.array([-1, 1, 1, 1], np.int64),
    }
    nodes = [
        helper.make_node("ReduceSum", ["input", "axes"], ["sum"], keepdims=0),
        helper.make_node("Mul", ["sum", "zero"], ["nothing"]),
        helper.make_node("Reshape", ["nothing", "as_dets"], ["nothing3"]),
        helper.make_node("Reshape", ["nothing", "as_points"], ["nothing4"]),
        helper.make_node("Add", ["dets0", "nothing3"], ["dets"]),
        helper.make_node("Add", ["points0", "nothing4"], ["keypoints"]),
    ]
    value = helper.make_tensor_value_info
    dets = [batch, "n", 5 if declared else "d"]
    shape = [batch, "n", keypoints if declared else "k", 3 if declared else "c"]
    return _save(
        path,
        nodes,
        [value("input", TensorProto.FLOAT, [batch, 3, size, size])],
        [value("dets", TensorProto.FLOAT, dets), value("keypoints", TensorProto.FLOAT, shape)],
        constants,
    )


def spot_person(path: Path, *, size: int = 64, keypoints: int = 17) -> Path:
    """A one-stage network of RTMO's layout that finds one person where the image is reddest.

    It looks at the third channel of BGR values 0..255, as far as they are above the padding's 114:
    the column and the row of the largest mean. The box reaches 8 pixels around that place, scored
    by the largest excess over 140, and all keypoints lie there. The last row is padding with a low
    score, as in the published files.
    """
    constants = {
        "third": np.array([0, 0, 1], np.float32).reshape(1, 3, 1, 1),
        "axis1": np.array([1], np.int64),
        "half": np.array([0.5], np.float32),
        "gray": np.array([115], np.float32),
        "scale": np.array([1 / 140], np.float32),
        "reach": np.array([8], np.float32),
        "as_one": np.array([-1, 1, 1], np.int64),
        "tile": np.array([1, 1, keypoints, 1], np.int64),
        "as_points": np.array([-1, 1, 1, 3], np.int64),
        "padding": np.array([[[0, 0, 9, 9, 0.02]]], np.float32),
        "point_padding": np.full((1, 1, keypoints, 3), 0.5, np.float32),
    }
    nodes = [
        helper.make_node("Mul", ["input", "third"], ["red3"]),
        helper.make_node("ReduceSum", ["red3", "axis1"], ["red0"], keepdims=0),
        helper.make_node("Sub", ["red0", "gray"], ["red1"]),
        helper.make_node("Relu", ["red1"], ["red"]),
        helper.make_node("ReduceMax", ["red"], ["brightest"], axes=[1, 2], keepdims=0),
        helper.make_node("Mul", ["brightest", "scale"], ["score0"]),
        helper.make_node("Reshape", ["score0", "as_one"], ["score"]),
    ]
    for axis, name in ((1, "x"), (2, "y")):
        nodes += [
            helper.make_node("ReduceMean", ["red"], [f"{name}mean"], axes=[axis], keepdims=0),
            helper.make_node("ArgMax", [f"{name}mean"], [f"{name}best"], axis=1, keepdims=0),
            helper.make_node("Cast", [f"{name}best"], [f"{name}float"], to=TensorProto.FLOAT),
            helper.make_node("Add", [f"{name}float", "half"], [f"{name}place"]),
            helper.make_node("Reshape", [f"{name}place", "as_one"], [name]),
            helper.make_node("Sub", [name, "reach"], [f"{name}1"]),
            helper.make_node("Add", [name, "reach"], [f"{name}2"]),
        ]
    nodes += [
        helper.make_node("Concat", ["x1", "y1", "x2", "y2", "score"], ["person"], axis=2),
        helper.make_node("Concat", ["person", "padding"], ["dets"], axis=1),
        helper.make_node("Concat", ["x", "y", "score"], ["point3"], axis=2),
        helper.make_node("Reshape", ["point3", "as_points"], ["point"]),
        helper.make_node("Tile", ["point", "tile"], ["points"]),
        helper.make_node("Concat", ["points", "point_padding"], ["keypoints"], axis=1),
    ]
    value = helper.make_tensor_value_info
    return _save(
        path,
        nodes,
        [value("input", TensorProto.FLOAT, [1, 3, size, size])],
        [
            value("dets", TensorProto.FLOAT, [1, 2, 5]),
            value("keypoints", TensorProto.FLOAT, [1, 2, keypoints, 3]),
        ],
        constants,
    )
