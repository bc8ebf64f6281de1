"""The whole pipeline as ONE ONNX graph of standard operators: a frame of any size in, boxes,
keypoints, scores out.

Inside: letterbox, detector, suppression, a crop for every person, pose network, decoding. Any
language with a stock ONNX Runtime can run it; ``examples/one_graph.py`` does in a few lines.

    inputs   image  uint8 (H, W, 3) BGR
             boxes_in  float (M, 4) xyxy image pixels
             detect  bool: find people, or take `boxes_in`
    outputs  keypoints (N, K, 2) in image pixels, scores (N, K), boxes (N, 4), box_scores (N,)
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from onnx import GraphProto, ModelProto, TensorProto, checker, helper, load, save, version_converter

from rtmpose.errors import ModelError
from rtmpose.exporting.graph import Graph
from rtmpose.exporting.onnx import IR_VERSION, OPSET
from rtmpose.exporting.onnx_edits import embed_card
from rtmpose.exporting.pipeline_detector import detect
from rtmpose.exporting.resample import (
    F32,
    Frame,
    blend,
    ints,
    normalize,
    round_half_up,
    scalar,
    taps,
)
from rtmpose.model_card import ModelCard
from rtmpose.ops.crop import PADDING


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
    # Both models in one operator set, and in the form that can be joined.
    detector_model = _at_opset(load(str(detector)), detector)
    pose_model = _at_opset(load(str(pose)), pose)
    _check(detector_model, detector_card, pose_model, pose_card)

    # Inputs of the graph: the frame, given boxes, and which of the two counts.
    g = Graph(prefix="p")
    g.graph.name = "pipeline"
    g.add_input("image", "uint8", ["height", "width", 3])
    g.add_input("boxes_in", "float", ["given", 4])
    g.add_input("detect", "bool", [])
    frame = Frame.of_input(g, "image")

    # Boxes are found or given.
    found = _subgraph("found", lambda s: detect(s, frame, detector_model, detector_card, score_thr))
    given = _subgraph("given", _take_given)
    boxes = g.name()
    box_scores = g.name()
    node = helper.make_node("If", ["detect"], [boxes, box_scores], name="detect_or_given")
    node.attribute.append(helper.make_attribute("then_branch", found))
    node.attribute.append(helper.make_attribute("else_branch", given))
    g.graph.node.append(node)
    keypoints, scores = _estimate(g, frame, boxes, pose_model, pose_card)
    k = pose_card.skeleton or "points"
    g.add_output("keypoints", keypoints, "float", ["people", k, 2], "out_keypoints")
    g.add_output("scores", scores, "float", ["people", k], "out_scores")
    g.add_output("boxes", boxes, "float", ["people", 4], "out_boxes")
    g.add_output("box_scores", box_scores, "float", ["people"], "out_box_scores")

    # The card is that of the pose network; notes name the detector and its threshold.
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(g.graph, opset_imports=[opset], ir_version=IR_VERSION)
    notes = {
        "rtmpose.detector": detector_card.id,
        "rtmpose.kind": "pipeline",
        "rtmpose.box_thr": f"{score_thr:g}",
    }
    embed_card(model, pose_card, **notes)
    checker.check_model(model, full_check=True)
    save(model, str(out))


def _check(
    detector_model: ModelProto,
    detector_card: ModelCard,
    pose_model: ModelProto,
    pose_card: ModelCard,
) -> None:
    # The detector with suppression inside, the pose network with any number of crops.
    if [o.name for o in detector_model.graph.output] != ["dets", "labels"]:
        raise ModelError(
            f"{detector_card.id} does not return dets and labels: a pipeline needs a detector with"
            " the suppression inside"
        )
    if pose_card.codec.kind != "simcc":
        raise ModelError(f"{pose_card.id} is not a SimCC network: only those go into a pipeline")
    batch = pose_model.graph.input[0].type.tensor_type.shape.dim[0]
    if batch.dim_value:
        raise ModelError(
            f"{pose_card.id} has a fixed batch of {batch.dim_value}; a pipeline needs a dynamic one"
        )


def _at_opset(model: ModelProto, path: Path) -> ModelProto:
    """The model in the operator set of the graph it goes into."""
    # A file may import several operator sets; the one without a name is ONNX's.
    if all(o.version == OPSET for o in model.opset_import if not o.domain):
        return model
    try:
        return version_converter.convert_version(model, OPSET)
    except RuntimeError as error:
        raise ModelError(
            f"{path.name} could not be raised to operator set {OPSET}: {error}"
        ) from error


def _subgraph(name: str, fill: Callable[[Graph], tuple[str, str]]) -> GraphProto:
    """A branch of ``If``: ``fill`` adds nodes and gives the names of boxes and scores."""
    # Branches see the values of the graph around them, so their own names must differ.
    g = Graph(GraphProto(name=name), prefix=name)
    boxes, scores = fill(g)
    # Both branches of an If have the same outputs.
    for value, dims in ((boxes, ["n", 4]), (scores, ["n"])):
        g.graph.output.append(helper.make_tensor_value_info(value, TensorProto.FLOAT, dims))
    return g.graph


def _take_given(g: Graph) -> tuple[str, str]:
    """The boxes that came in, each with a score of 1."""
    count = g.op("Slice", g.op("Shape", "boxes_in"), ints(0), ints(1))  # (1,): the number of boxes
    one = helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])
    ones = g.op("ConstantOfShape", count, value=one)
    return g.op("Identity", "boxes_in"), ones


def _estimate(
    g: Graph, frame: Frame, boxes: str, pose_model: ModelProto, card: ModelCard
) -> tuple[str, str]:
    """Keypoints ``(N, K, 2)`` in image pixels and scores ``(N, K)`` in boxes ``(N, 4)``."""
    # With nobody there, one dummy keeps the network from an empty batch; it is cut off at the end.
    count = g.op("Slice", g.op("Shape", boxes), ints(0), ints(1))
    missing = g.op("Cast", g.op("Equal", count, ints(0)), to=TensorProto.INT64)
    dummy = g.op("Slice", np.array([[0, 0, 8, 8]], F32), ints(0), missing, ints(0))
    padded = g.op("Concat", boxes, dummy, axis=0)

    # Boxes to crops, crops through the network, bins back to image pixels.
    center, scale = _center_scale(g, padded, card.input_wh)
    crops = _crop(g, frame, center, scale, card)
    outputs = g.inline(pose_model, {pose_model.graph.input[0].name: crops}, "pose/")
    keypoints, scores = _decode(g, outputs["simcc_x"], outputs["simcc_y"], center, scale, card)
    return (
        g.op("Slice", keypoints, ints(0), count, ints(0)),
        g.op("Slice", scores, ints(0), count, ints(0)),
    )


def _center_scale(g: Graph, boxes: str, input_wh: tuple[int, int]) -> tuple[str, str]:
    """Centers ``(N, 2)`` and the width ``(N, 1)`` of the cropped regions; see
    :mod:`rtmpose.ops.crop`.
    """
    # Corners (N, 2), center and padded size.
    low = g.op("Slice", boxes, ints(0), ints(2), ints(1))
    high = g.op("Slice", boxes, ints(2), ints(4), ints(1))
    center = g.op("Mul", g.op("Add", low, high), scalar(0.5))
    size = g.op("Mul", g.op("Sub", high, low), scalar(PADDING))
    w = g.op("Slice", size, ints(0), ints(1), ints(1))
    h = g.op("Slice", size, ints(1), ints(2), ints(1))
    # The region has the aspect ratio of the network's input and holds the whole box.
    aspect = input_wh[0] / input_wh[1]
    return center, g.op("Max", w, g.op("Mul", h, scalar(aspect)))


def _crop(g: Graph, frame: Frame, center: str, scale: str, card: ModelCard) -> str:
    """Normalized crops ``(N, 3, h, w)``."""
    width, height = card.input_wh
    step = g.op("Div", scale, scalar(width))  # image pixels per crop pixel
    axes = []

    # The two axes are sampled apart: bilinear weights are products.
    for axis, (size, side) in enumerate(((width, frame.width_f), (height, frame.height_f))):
        # Crop pixels relative to the middle of the crop, in image pixels around the center.
        place = (np.arange(size, dtype=F32) - F32(size / 2))[None]
        middle = g.op("Slice", center, ints(axis), ints(axis + 1), ints(1))
        source = g.op("Add", g.op("Mul", step, place), middle)
        axes.append(taps(g, source, side, zero_outside=True))
    x, y = axes
    return normalize(g, round_half_up(g, blend(g, frame, x, y)), card)


def _decode(g: Graph, x: str, y: str, center: str, scale: str, card: ModelCard) -> tuple[str, str]:
    """Keypoints ``(N, K, 2)`` in image pixels and scores ``(N, K)``."""
    width, height = card.input_wh
    bins = []
    peaks = []

    # Highest bin of each axis; the score is the lower of the two peaks.
    for value in (x, y):
        index = g.op("ArgMax", value, axis=2, keepdims=1)
        bins.append(g.op("Cast", index, to=TensorProto.FLOAT))
        peaks.append(g.op("ReduceMax", value, ints(2), keepdims=0))
    scores = g.op("Min", *peaks)

    # Bins to crop pixels, -1 where there is no keypoint, and on to image pixels.
    place = g.op("Concat", *bins, axis=2)
    present = g.op("Unsqueeze", g.op("Greater", scores, scalar(0)), ints(2))
    place = g.op("Where", present, place, scalar(-1))
    place = g.op("Div", place, scalar(card.codec.split_ratio))
    step = g.op("Unsqueeze", g.op("Div", scale, scalar(width)), ints(2))
    offset = g.op("Sub", place, np.array([width / 2, height / 2], F32))
    moved = g.op("Mul", offset, step)
    return g.op("Add", moved, g.op("Unsqueeze", center, ints(1))), scores
