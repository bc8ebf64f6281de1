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
from rtmpose.exporting.crop_map import AxisMap, crop_maps, crop_people, uncrop
from rtmpose.exporting.graph import Graph
from rtmpose.exporting.onnx import IR_VERSION, OPSET
from rtmpose.exporting.onnx_edits import embed_card
from rtmpose.exporting.pipeline_detector import detect
from rtmpose.exporting.resample import F32, Frame, ints, scalar
from rtmpose.model_card import ModelCard


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
    maps = crop_maps(g, padded, card.input_wh)
    crops = crop_people(g, frame, maps, card)
    outputs = g.inline(pose_model, {pose_model.graph.input[0].name: crops}, "pose/")
    keypoints, scores = _decode(g, outputs["simcc_x"], outputs["simcc_y"], maps, card)
    return (
        g.op("Slice", keypoints, ints(0), count, ints(0)),
        g.op("Slice", scores, ints(0), count, ints(0)),
    )


def _decode(
    g: Graph, x: str, y: str, maps: tuple[AxisMap, AxisMap], card: ModelCard
) -> tuple[str, str]:
    """Keypoints ``(N, K, 2)`` in image pixels and scores ``(N, K)``."""
    # Highest bin of each axis; the score is the lower of the two peaks.
    peaks = [g.op("ReduceMax", value, ints(2), keepdims=0) for value in (x, y)]
    scores = g.op("Min", *peaks)

    # Bins to image pixels; the bin is -1 where there is no keypoint.
    present = g.op("Greater", scores, scalar(0))
    highest = [g.op("ArgMax", value, axis=2, keepdims=0) for value in (x, y)]
    bins = [g.op("Where", present, index, ints(-1)) for index in highest]
    return uncrop(g, (bins[0], bins[1]), maps, card), scores
