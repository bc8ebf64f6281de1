"""Changes to ONNX models: suppression appended, nodes simplified, weights stored in half precision,
the card embedded.
"""

from __future__ import annotations

import contextlib
import io
import logging

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

from rtmpose.cards.io import KEY, card_to_json
from rtmpose.exporting.graph import Graph
from rtmpose.exporting.silence import no_logging
from rtmpose.model_card import ModelCard

NMS_IOU = 0.6
NMS_SCORE_THR = 0.05
NMS_MAX_DETECTIONS = 100

MIN_HALF_SIZE = 512
"""Constants of fewer elements are not worth storing in half precision."""

log = logging.getLogger(__name__)


def append_nms(model: ModelProto, classes: int = 1) -> None:
    """Turn the outputs boxes ``(1, A, 4)`` and scores ``(1, A, C)`` into ``dets (1, n, 5)`` and
    ``labels (1, n)``, the highest-scoring first; in place.

    Args:
        model: The detector.
        classes: How many of its outputs count, from the first on.
    """
    # NonMaxSuppression takes scores as (1, C, A).
    graph = Graph.of(model)
    scores = graph.op("Transpose", "scores", perm=[0, 2, 1])
    # Outputs behind the known classes were never trained.
    if graph.last_dimension("scores") > classes:
        scores = graph.op("Slice", scores, np.array([0]), np.array([classes]), np.array([1]))
    chosen = graph.op(
        "NonMaxSuppression",
        "boxes",
        scores,
        np.array([NMS_MAX_DETECTIONS]),
        np.array([NMS_IOU], np.float32),
        np.array([NMS_SCORE_THR], np.float32),
    )

    # Rows of (image, class, box): the image is 0, and so is the class where there is only one.
    indices = graph.op("Slice", chosen, np.array([2]), np.array([3]), np.array([1]))
    rows = graph.op("Reshape", indices, np.array([-1]))
    if classes > 1:
        pairs = graph.op("Slice", chosen, np.array([1]), np.array([3]), np.array([1]))
        table = graph.op("Squeeze", scores, np.array([0]))
        values = graph.op("GatherND", table, pairs)
    else:
        flat = graph.op("Reshape", scores, np.array([-1]))
        values = graph.op("Gather", flat, rows, axis=0)
    # The operator keeps so many of each class; so many in all are kept by the runtime.
    count = graph.op("Shape", values)
    if classes > 1:
        count = graph.op("Min", count, np.array([NMS_MAX_DETECTIONS]))
    best, order = graph.ops("TopK", values, count, axis=0, outputs=2)

    # Boxes in order of score, with the score as the fifth column.
    all_boxes = graph.op("Squeeze", "boxes", np.array([0]))
    boxes = graph.op("Gather", all_boxes, graph.op("Gather", rows, order), axis=0)
    dets = graph.op("Concat", boxes, graph.op("Unsqueeze", best, np.array([1])), axis=1)
    if classes > 1:
        numbers = graph.op("Slice", chosen, np.array([1]), np.array([2]), np.array([1]))
        labels = graph.op("Gather", graph.op("Reshape", numbers, np.array([-1])), order)
    else:
        labels = graph.op("Mul", rows, np.array(0, np.int64))
    graph.set_outputs(
        {
            "dets": (graph.op("Unsqueeze", dets, np.array([0])), "float", [1, "boxes_found", 5]),
            "labels": (graph.op("Unsqueeze", labels, np.array([0])), "int64", [1, "boxes_found"]),
        }
    )


def simplify(model: ModelProto) -> ModelProto:
    """The model without redundant nodes; unchanged where the simplifier is missing or fails."""
    try:
        import onnxslim
    except ImportError:
        return model

    try:
        with contextlib.redirect_stdout(io.StringIO()), no_logging():
            return onnxslim.slim(model)
    except Exception as error:  # noqa: BLE001 (whatever fails in it, the unsimplified model is right)
        log.info("onnxslim failed, the file is not simplified: %s", error)
        return model


def embed_card(model: ModelProto, card: ModelCard, **notes: str) -> None:
    """Put the card, and further text, into the model's properties."""
    # Properties of the exporter are of no use to anyone else.
    kept = {
        p.key: p.value for p in model.metadata_props if not p.key.startswith(("pkg.", "namespace"))
    }
    helper.set_model_props(model, {**kept, KEY: card_to_json(card), **notes})


def store_half(model: ModelProto, min_size: int = MIN_HALF_SIZE) -> None:
    """Halve the file: large float32 constants are kept as float16 and cast back when the file is
    opened.

    Engines do the cast once, at loading: what is computed stays float32.

    Args:
        model: Changed in place.
        min_size: Constants of fewer elements stay as they are.
    """
    # Large constants as float16, each with a cast that has its former name.
    casts = []
    for constant in model.graph.initializer:
        if constant.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(constant)
        # Beyond float16 the value would become infinite.
        if values.size < min_size or np.abs(values).max() > np.finfo(np.float16).max:
            continue
        name = constant.name
        half = f"{name}.half"
        constant.CopyFrom(numpy_helper.from_array(values.astype(np.float16), half))
        casts.append(helper.make_node("Cast", [half], [name], f"{name}.cast", to=TensorProto.FLOAT))

    # Nodes come in the order of execution.
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
