"""The whole pipeline as ONE ONNX graph of standard operators: a frame of any size in, boxes,
keypoints, scores out.

Inside: letterbox, detector, suppression, a crop for every person, pose network, decoding. Any
language with a stock ONNX Runtime can run it; ``examples/one_graph.py`` does in a few lines.

    inputs   image  uint8 (H, W, 3) BGR; boxes float (M, 4) xyxy image pixels; detect bool: find
    people, or take `boxes` outputs  boxes (N, 4), box_scores (N,), keypoints (N, K, 2) in image
    pixels, scores (N, K)

Pictures are resampled by gathering their pixels by index, so that a large frame is never copied as
float.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from onnx import GraphProto, ModelProto, TensorProto, checker, helper, load, save, version_converter

from rtmpose.errors import ModelError
from rtmpose.exporting.graph import Graph
from rtmpose.exporting.onnx import IR_VERSION, OPSET, embed_card
from rtmpose.model_card import ModelCard
from rtmpose.ops.crop import PADDING
from rtmpose.ops.decoders import box_decoder
from rtmpose.ops.letterbox import PAD_VALUE

F32 = np.float32


def _i(*values: int) -> Any:
    return np.array(values, np.int64)


def _f(value: float) -> Any:
    return np.array(value, F32)


def write_pipeline(
    detector: Path,
    detector_card: ModelCard,
    pose: Path,
    pose_card: ModelCard,
    out: Path,
    *,
    score_thr: float = 0.3,
) -> None:
    """Join a detector and a pose network into one file.

    Args:
        detector: ONNX with ``dets (1, n, 5)`` and ``labels (1, n)`` as outputs (suppression
            inside).
        detector_card: Its description.
        pose: ONNX of a SimCC network with dynamic batch, as this package exports it.
        pose_card: Its description; embedded.
        out: The file.
        score_thr: Lowest box score taken.

    Raises:
        ModelError: a network is not of that form.
    """
    finder, estimator = (_at_opset(load(str(path)), path) for path in (detector, pose))
    if [o.name for o in finder.graph.output] != ["dets", "labels"]:
        raise ModelError(
            f"{detector.name} does not return dets and labels: a pipeline needs the suppression"
            " inside"
        )
    if pose_card.codec.kind != "simcc":
        raise ModelError(f"{pose_card.id} is no SimCC network: only those go into a pipeline")
    batch = estimator.graph.input[0].type.tensor_type.shape.dim[0]
    if batch.dim_value:
        raise ModelError(
            f"{pose.name} has a fixed batch of {batch.dim_value}; a pipeline needs a dynamic one"
        )
    g = Graph(prefix="p")
    g.graph.name = "pipeline"
    g.add_input("image", "uint8", ["height", "width", 3])
    g.add_input("boxes_in", "float", ["given", 4])
    g.add_input("detect", "bool", [])
    shape = g.op("Shape", "image")
    height, width = (g.op("Gather", shape, _i(k), axis=0) for k in (0, 1))
    frame = _Frame(g, height, width)

    found = _subgraph("found", lambda s: _detect(s, frame, finder, detector_card, score_thr))
    given = _subgraph("given", _take_given)
    boxes, box_scores = (g.name() for _ in range(2))
    node = helper.make_node("If", ["detect"], [boxes, box_scores], name="detect_or_given")
    node.attribute.extend(
        [helper.make_attribute("then_branch", found), helper.make_attribute("else_branch", given)]
    )
    g.graph.node.append(node)

    # With nobody there, one dummy keeps the network from an empty batch; it is cut off at the end.
    count = g.op("Slice", g.op("Shape", boxes), _i(0), _i(1))
    dummy = g.op("Cast", g.op("Equal", count, _i(0)), to=TensorProto.INT64)
    padded = g.op(
        "Concat", boxes, g.op("Slice", np.array([[0, 0, 8, 8]], F32), _i(0), dummy, _i(0)), axis=0
    )
    center, scale = _center_scale(g, padded, pose_card.input_wh)
    crops = _crop(g, frame, center, scale, pose_card)
    outputs = g.inline(estimator, {estimator.graph.input[0].name: crops}, "pose/")
    x, y = outputs["simcc_x"], outputs["simcc_y"]
    keypoints, scores = _decode(g, x, y, center, scale, pose_card)
    k = pose_card.skeleton or "points"
    for name, value in (("keypoints", keypoints), ("scores", scores)):
        cut = g.op("Slice", value, _i(0), count, _i(0))
        dims: list[Any] = ["people", k, 2] if name == "keypoints" else ["people", k]
        g.graph.node.append(helper.make_node("Identity", [cut], [name], name=f"out_{name}"))
        g.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, dims))
    for name, value, dims in (
        ("boxes", boxes, ["people", 4]),
        ("box_scores", box_scores, ["people"]),
    ):
        g.graph.node.append(helper.make_node("Identity", [value], [name], name=f"out_{name}"))
        g.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, dims))
    model = helper.make_model(
        g.graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    embed_card(
        model, pose_card, **{"rtmpose.detector": detector_card.id, "rtmpose.kind": "pipeline"}
    )
    checker.check_model(model, full_check=True)
    save(model, str(out))


def _at_opset(model: ModelProto, path: Path) -> ModelProto:
    """The model in the operator set of the graph it goes into."""
    if all(o.version == OPSET for o in model.opset_import if not o.domain):
        return model
    try:
        return version_converter.convert_version(model, OPSET)
    except RuntimeError as error:
        raise ModelError(
            f"{path.name} could not be raised to operator set {OPSET}: {error}"
        ) from error


class _Frame:
    """The frame as a list of pixels, to gather from by index."""

    def __init__(self, g: Graph, height: str, width: str) -> None:
        self.height, self.width = height, width  # int64, shape (1,)
        self.pixels = g.op("Reshape", "image", _i(-1, 3))
        self.height_f, self.width_f = (
            g.op("Cast", v, to=TensorProto.FLOAT) for v in (height, width)
        )


def _subgraph(name: str, fill: Any) -> GraphProto:
    """A branch of ``If``: ``fill`` adds nodes and gives the names of boxes and scores."""
    g = Graph(GraphProto(name=name), prefix=name)
    for value, dims in zip(fill(g), (["n", 4], ["n"]), strict=True):
        g.graph.output.append(helper.make_tensor_value_info(value, TensorProto.FLOAT, dims))
    return g.graph


def _take_given(g: Graph) -> tuple[str, str]:
    count = g.op("Slice", g.op("Shape", "boxes_in"), _i(0), _i(1))
    ones = g.op(
        "ConstantOfShape", count, value=helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])
    )
    return g.op("Identity", "boxes_in"), ones


def _detect(
    g: Graph, frame: _Frame, finder: ModelProto, card: ModelCard, score_thr: float
) -> tuple[str, str]:
    """Letterbox, network, and boxes back in image pixels; mirrors :mod:`rtmpose.detector`."""
    width, height = card.input_wh
    # In double, as Python computes them: a size one pixel off moves boxes.
    sides = [g.op("Cast", v, to=TensorProto.DOUBLE) for v in (frame.width, frame.height)]
    ratio = g.op(
        "Min",
        *(
            g.op("Div", np.array(n, np.float64), v)
            for n, v in zip((width, height), sides, strict=True)
        ),
    )
    truncate = box_decoder(card).truncate
    sizes, factors = [], []
    for side, limit in zip(sides, (width, height), strict=True):
        new = g.op(
            "Floor", g.op("Add", g.op("Mul", side, ratio), np.array(0.0 if truncate else 0.5))
        )
        new = g.op("Min", g.op("Max", new, np.array(1.0)), np.array(float(limit)))
        sizes.append(g.op("Cast", new, to=TensorProto.FLOAT))
        factors.append(
            g.op("Cast", ratio if truncate else g.op("Div", new, side), to=TensorProto.FLOAT)
        )
    axes = []
    for side, new, limit in ((frame.width_f, sizes[0], width), (frame.height_f, sizes[1], height)):
        # Where each canvas column (row) comes from; those behind the picture are gray.
        step = g.op("Div", side, new)
        place = np.arange(limit, dtype=F32) + F32(0.5)
        source = g.op("Sub", g.op("Mul", place, step), _f(0.5))
        source = g.op("Max", g.op("Min", source, g.op("Sub", side, _f(1))), _f(0))
        inside = g.op("Cast", g.op("Less", np.arange(limit, dtype=F32), new), to=TensorProto.FLOAT)
        axes.append((*_taps(g, source, side, zero_outside=False), inside))
    (xs, wx, in_x), (ys, wy, in_y) = axes
    one = [[g.op("Unsqueeze", v, _i(0)) for v in values] for values in (xs, wx, ys, wy)]
    canvas = _blend_fixed(g, frame, *one)
    mask = g.op(
        "Mul",
        g.op("Reshape", in_y, _i(1, -1, 1)),
        g.op("Reshape", _per_channel(g, in_x), _i(1, 1, -1)),
    )
    gray = g.op("Mul", g.op("Sub", _f(1), mask), _f(PAD_VALUE))
    canvas = g.op("Add", g.op("Mul", canvas, mask), gray)
    pixels = _normalize(g, canvas, card)
    outputs = g.inline(finder, {finder.graph.input[0].name: pixels}, "detector/")
    dets, labels = (
        g.op("Squeeze", outputs["dets"], _i(0)),
        g.op("Squeeze", outputs["labels"], _i(0)),
    )
    labels = g.op("Cast", labels, to=TensorProto.INT64)
    scores = g.op("Reshape", g.op("Slice", dets, _i(4), _i(5), _i(1)), _i(-1))
    corners = [
        g.op("Reshape", g.op("Slice", dets, _i(k), _i(k + 1), _i(1)), _i(-1)) for k in range(4)
    ]
    sized = g.op(
        "And", g.op("Greater", corners[2], corners[0]), g.op("Greater", corners[3], corners[1])
    )
    person = g.op(
        "And",
        g.op("GreaterOrEqual", scores, _f(score_thr)),
        g.op("Equal", labels, np.array(0, np.int64)),
    )
    rows = g.op("Reshape", g.op("NonZero", g.op("And", person, sized)), _i(-1))
    scores = g.op("Gather", scores, rows)
    scores, order = g.op("TopK", scores, g.op("Shape", scores), axis=0, outputs=2)
    rows = g.op("Gather", rows, order)
    boxes = g.op("Gather", g.op("Slice", dets, _i(0), _i(4), _i(1)), rows, axis=0)
    return g.op("Div", boxes, g.op("Concat", *factors, *factors, axis=0)), scores


def _center_scale(g: Graph, boxes: str, input_wh: tuple[int, int]) -> tuple[str, str]:
    """Centers ``(N, 2)`` and the width ``(N, 1)`` of the cropped regions; see
    :mod:`rtmpose.ops.crop`.
    """
    low, high = g.op("Slice", boxes, _i(0), _i(2), _i(1)), g.op("Slice", boxes, _i(2), _i(4), _i(1))
    center = g.op("Mul", g.op("Add", low, high), _f(0.5))
    size = g.op("Mul", g.op("Sub", high, low), _f(PADDING))
    w, h = g.op("Slice", size, _i(0), _i(1), _i(1)), g.op("Slice", size, _i(1), _i(2), _i(1))
    return center, g.op("Max", w, g.op("Mul", h, _f(input_wh[0] / input_wh[1])))


def _crop(g: Graph, frame: _Frame, center: str, scale: str, card: ModelCard) -> str:
    """Normalized crops ``(N, 3, h, w)``."""
    width, height = card.input_wh
    step = g.op("Div", scale, _f(width))  # image pixels per crop pixel
    axes = []
    for axis, (size, side) in enumerate(((width, frame.width_f), (height, frame.height_f))):
        place = (np.arange(size, dtype=F32) - F32(size / 2))[None]
        middle = g.op("Slice", center, _i(axis), _i(axis + 1), _i(1))
        source = g.op("Add", g.op("Mul", step, place), middle)
        axes.append(_taps(g, source, side, zero_outside=True))
    (xs, wx), (ys, wy) = axes
    return _normalize(g, _round(g, _blend(g, frame, xs, wx, ys, wy)), card)


def _taps(g: Graph, source: str, side: str, *, zero_outside: bool) -> tuple[list[str], list[str]]:
    """The two pixels each place lies between, as indices within the frame, and their weights."""
    floor = g.op("Floor", source)
    fraction = g.op("Sub", source, floor)
    last = g.op("Sub", side, _f(1))
    indices, weights = [], []
    for place, weight in (
        (floor, g.op("Sub", _f(1), fraction)),
        (g.op("Add", floor, _f(1)), fraction),
    ):
        if zero_outside:
            inside = g.op(
                "And", g.op("GreaterOrEqual", place, _f(0)), g.op("LessOrEqual", place, last)
            )
            weight = g.op("Mul", weight, g.op("Cast", inside, to=TensorProto.FLOAT))
        safe = g.op("Max", g.op("Min", place, last), _f(0))
        indices.append(g.op("Cast", safe, to=TensorProto.INT64))
        weights.append(weight)
    return indices, weights


def _round(g: Graph, value: str) -> str:
    """To whole numbers, halves upwards as OpenCV does (``Round`` would take them to even)."""
    return str(g.op("Floor", g.op("Add", value, _f(0.5))))


def _per_channel(g: Graph, values: str) -> str:
    """``(..., w)`` as ``(..., 3 w)``, each value three times: rows of interleaved pixels multiply
    fast.
    """
    last = g.op("Unsqueeze", values, _i(-1))
    return _merge_last(g, g.op("Concat", last, last, last, axis=-1))


def _merge_last(g: Graph, value: str) -> str:
    """``(..., w, 3)`` as ``(..., 3 w)``."""
    shape = g.op("Shape", value)
    head = g.op("Slice", shape, _i(0), _i(-2), _i(0))
    return str(g.op("Reshape", value, g.op("Concat", head, _i(-1), axis=0)))


def _blend(
    g: Graph, frame: _Frame, xs: list[str], wx: list[str], ys: list[str], wy: list[str]
) -> str:
    """Bilinear samples ``(N, h, 3 w)`` float, channels interleaved: columns ``(N, w)``, rows ``(N,
    h)``, weights.
    """
    rows = []
    wide = [g.op("Unsqueeze", _per_channel(g, w), _i(1)) for w in wx]
    for y, weight_y in zip(ys, wy, strict=True):
        base = g.op("Mul", g.op("Unsqueeze", y, _i(2)), frame.width)
        parts = []
        for x, weight_x in zip(xs, wide, strict=True):
            index = g.op("Add", base, g.op("Unsqueeze", x, _i(1)))
            pixels = _merge_last(g, g.op("Gather", frame.pixels, index, axis=0))
            parts.append(g.op("Mul", g.op("Cast", pixels, to=TensorProto.FLOAT), weight_x))
        rows.append(g.op("Mul", g.op("Add", *parts), g.op("Unsqueeze", weight_y, _i(2))))
    return str(g.op("Add", *rows))


def _blend_fixed(
    g: Graph, frame: _Frame, xs: list[str], wx: list[str], ys: list[str], wy: list[str]
) -> str:
    """The same in OpenCV's fixed-point arithmetic, so that a detector sees the very pixels it sees
    in Python.
    """

    def fixed(weight: str) -> str:
        return str(g.op("Cast", g.op("Round", g.op("Mul", weight, _f(2048))), to=TensorProto.INT32))

    def whole(value: int) -> Any:
        return np.array(value, np.int32)

    wide = [g.op("Unsqueeze", _per_channel(g, fixed(w)), _i(1)) for w in wx]
    rows = []
    for y, weight_y in zip(ys, wy, strict=True):
        base = g.op("Mul", g.op("Unsqueeze", y, _i(2)), frame.width)
        parts = []
        for x, weight_x in zip(xs, wide, strict=True):
            index = g.op("Add", base, g.op("Unsqueeze", x, _i(1)))
            pixels = g.op(
                "Cast",
                _merge_last(g, g.op("Gather", frame.pixels, index, axis=0)),
                to=TensorProto.INT32,
            )
            parts.append(g.op("Mul", pixels, weight_x))
        row = g.op("Div", g.op("Add", *parts), whole(16))
        row = g.op("Mul", row, g.op("Unsqueeze", fixed(weight_y), _i(2)))
        rows.append(g.op("Div", row, whole(65536)))
    total = g.op("Div", g.op("Add", g.op("Add", *rows), whole(2)), whole(4))
    return str(g.op("Cast", total, to=TensorProto.FLOAT))


def _normalize(g: Graph, pixels: str, card: ModelCard) -> str:
    """BGR float ``(N, h, 3 w)`` to the network's ``(N, 3, h, w)``."""
    scaling, (width, height) = card.normalization, card.input_wh
    order = [2, 1, 0] if scaling.color == "rgb" else [0, 1, 2]
    mean, std = (
        np.tile(np.array(v, np.float64)[order], width) for v in (scaling.mean, scaling.std)
    )
    scaled = g.op("Mul", g.op("Sub", pixels, mean.astype(F32)), (1 / std).astype(F32))
    planes = g.op("Transpose", g.op("Reshape", scaled, _i(-1, height, width, 3)), perm=[0, 3, 1, 2])
    return str(planes if order[0] == 0 else g.op("Gather", planes, _i(2, 1, 0), axis=1))


def _decode(g: Graph, x: str, y: str, center: str, scale: str, card: ModelCard) -> tuple[str, str]:
    """Keypoints ``(N, K, 2)`` in image pixels and scores ``(N, K)``."""
    width, height = card.input_wh
    places, peaks = [], []
    for value in (x, y):
        places.append(g.op("Cast", g.op("ArgMax", value, axis=2, keepdims=1), to=TensorProto.FLOAT))
        peaks.append(g.op("ReduceMax", value, _i(2), keepdims=0))
    scores = g.op("Min", *peaks)
    place = g.op("Concat", *places, axis=2)
    present = g.op("Unsqueeze", g.op("Greater", scores, _f(0)), _i(2))
    place = g.op("Div", g.op("Where", present, place, _f(-1)), _f(card.codec.split_ratio))
    step = g.op("Unsqueeze", g.op("Div", scale, _f(width)), _i(2))
    offset = g.op("Sub", place, np.array([width / 2, height / 2], F32))
    return g.op("Add", g.op("Mul", offset, step), g.op("Unsqueeze", center, _i(1))), scores
