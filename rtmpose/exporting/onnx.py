"""torch network to ONNX file: dynamic batch, optional normalization and decoding inside, the card
embedded.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rtmpose.card_io import KEY, card_to_json
from rtmpose.errors import InputError, MissingDependencyError, ModelError
from rtmpose.exporting.graph import Graph
from rtmpose.model_card import ModelCard, Normalization
from rtmpose.networks.fuse import fuse_norms
from rtmpose.networks.rtmdet import RTMDet, RTMDetBoxes

OPSET = 18
IR_VERSION = 8
"""Old enough for the runtimes of 2023, the deployment SDK's among them."""
NMS_IOU, NMS_SCORE, NMS_LIMIT = 0.6, 0.05, 100
CANDIDATES = 1000


@dataclass(frozen=True)
class OnnxOptions:
    """What goes into the file besides the network.

    Attributes:
        batch: A fixed number of images, or None for any.
        normalize: Normalization inside: BGR uint8 ``(N, H, W, 3)`` goes in.
        decode: Decoding inside: keypoints in crop pixels and scores come out (SimCC networks).
        nms: For detectors: non-maximum suppression inside; the batch is 1.
        half_weights: Weights are stored as float16 and computed with in float32.
    """

    batch: int | None = None
    normalize: bool = False
    decode: bool = False
    nms: bool = True
    half_weights: bool = False


class Normalize(nn.Module):
    """BGR uint8 ``(N, H, W, 3)`` in place of normalized float."""

    def __init__(self, network: nn.Module, normalization: Normalization) -> None:
        super().__init__()
        self.network = network
        self.flip = normalization.color == "rgb"
        self.register_buffer(
            "mean", torch.tensor(normalization.mean, dtype=torch.float32).view(1, 3, 1, 1)
        )
        self.register_buffer(
            "std", torch.tensor(normalization.std, dtype=torch.float32).view(1, 3, 1, 1)
        )

    def forward(self, images: Tensor) -> Any:
        """Images to whatever the network returns."""
        pixels = images.permute(0, 3, 1, 2).float()
        if self.flip:
            pixels = pixels[:, [2, 1, 0]]
        return self.network((pixels - self.mean) / self.std)


class DecodeSimCC(nn.Module):
    """Keypoints ``(N, K, 2)`` in crop pixels and scores ``(N, K)`` in place of the two
    classifications.
    """

    def __init__(self, network: nn.Module, split_ratio: float) -> None:
        super().__init__()
        self.network, self.split_ratio = network, split_ratio

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Crops to keypoints and scores; where the score is not positive there is no keypoint: -1
        bin.
        """
        x, y = self.network(crops)
        (score_x, at_x), (score_y, at_y) = x.max(dim=2), y.max(dim=2)
        scores = torch.minimum(score_x, score_y)
        places = torch.stack([at_x, at_y], dim=2).float()
        places = torch.where((scores > 0).unsqueeze(2), places, torch.full_like(places, -1))
        return places / self.split_ratio, scores


def write_onnx(
    network: nn.Module, card: ModelCard, path: Path, options: OnnxOptions | None = None
) -> None:
    """Write a network as ONNX.

    Args:
        network: From :func:`rtmpose.networks.load_network`.
        card: Embedded; its input size is the file's.
        path: Where to.
        options: What goes into the file besides.

    Raises:
        InputError: the options do not fit the network.
        ModelError: torch could not convert it.
    """
    onnx = _onnx()
    options = options or OnnxOptions()
    kind = card.codec.kind
    detector = isinstance(network, RTMDet)
    if options.decode and kind != "simcc":
        raise InputError(f"decoding inside the file is for SimCC networks, not for {kind}")
    if detector and options.nms and options.batch not in (None, 1):
        raise InputError(
            "a detector with the suppression inside takes one image at a time: --no-nms, or"
            " --batch 1"
        )
    graph = fuse_norms(network)  # leaves a network that is folded already as it is
    names = {"simcc": ["simcc_x", "simcc_y"], "heatmap": ["heatmap"], "classifier": ["logits"]}.get(
        kind, []
    )
    if detector:
        graph, names = RTMDetBoxes(graph), ["boxes", "scores"]
    if options.decode:
        graph, names = DecodeSimCC(graph, card.codec.split_ratio), ["keypoints", "scores"]
    width, height = card.input_wh
    batch = 1 if detector and options.nms else options.batch
    example = torch.zeros(batch or 2, 3, height, width)
    if options.normalize:
        graph, example = (
            Normalize(graph, card.normalization),
            torch.zeros(batch or 2, height, width, 3).byte(),
        )
    dynamic = _dynamic_sides(batch, card, options)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), _quiet():
            warnings.simplefilter("ignore")  # the exporter's notes to its own developers
            program = torch.onnx.export(
                graph.eval(),
                (example,),
                input_names=["input"],
                output_names=names,
                opset_version=OPSET,
                dynamic_shapes=dynamic,
                dynamo=True,
                verbose=False,
            )
    except Exception as error:
        raise ModelError(
            f"torch could not convert {card.id} to ONNX: {str(error).strip().splitlines()[0]}"
        ) from error
    model = program.model_proto
    if detector and options.nms:
        append_nms(model)
    model = simplify(model)
    if options.half_weights:
        model = store_half(model)
    # Shapes of values in between are up to a quarter of a small file, and every engine infers them.
    model.graph.ClearField("value_info")
    model.ir_version = IR_VERSION
    embed_card(model, card)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))


def _dynamic_sides(
    batch: int | None, card: ModelCard, options: OnnxOptions
) -> tuple[dict[int, Any]] | None:
    """The axes that are left open: the batch; height and width too for detectors that take any
    shape.
    """
    open_axes: dict[int, Any] = {} if batch is not None else {0: torch.export.Dim("batch")}
    if card.input_fit == "rectangular":
        first = 1 if options.normalize else 2
        open_axes |= {
            first: 32 * torch.export.Dim("rows", min=1),
            first + 1: 32 * torch.export.Dim("columns", min=1),
        }
    return (open_axes,) if open_axes else None


def append_nms(model: Any) -> None:
    """Boxes ``(1, A, 4)`` and scores ``(1, A, 1)`` to ``dets (1, n, 5)`` and ``labels (1, n)``, the
    surest first.
    """
    graph = Graph.of(model)
    scores = graph.op("Transpose", "scores", perm=[0, 2, 1])
    if (
        graph.last_dimension("scores") > 1
    ):  # of the detectors with more outputs only the first class is a person
        scores = graph.op("Slice", scores, np.array([0]), np.array([1]), np.array([1]))
    limits = [
        np.array([NMS_LIMIT]),
        np.array([NMS_IOU], np.float32),
        np.array([NMS_SCORE], np.float32),
    ]
    chosen = graph.op("NonMaxSuppression", "boxes", scores, *limits)
    rows = graph.op(
        "Reshape",
        graph.op("Slice", chosen, np.array([2]), np.array([3]), np.array([1])),
        np.array([-1]),
    )
    flat = graph.op("Reshape", scores, np.array([-1]))
    values = graph.op("Gather", flat, rows, axis=0)
    count = graph.op("Shape", values)
    best, order = graph.op("TopK", values, count, axis=0, outputs=2)
    boxes = graph.op(
        "Gather",
        graph.op("Squeeze", "boxes", np.array([0])),
        graph.op("Gather", rows, order),
        axis=0,
    )
    dets = graph.op("Concat", boxes, graph.op("Unsqueeze", best, np.array([1])), axis=1)
    labels = graph.op("Mul", rows, np.array(0, np.int64))
    graph.set_outputs(
        {
            "dets": (graph.op("Unsqueeze", dets, np.array([0])), "float", [1, "boxes_found", 5]),
            "labels": (graph.op("Unsqueeze", labels, np.array([0])), "int64", [1, "boxes_found"]),
        }
    )


def simplify(model: Any) -> Any:
    """The model without redundant nodes; as it was where the simplifier is not installed or fails."""
    try:
        import onnxslim
    except ImportError:
        return model
    try:
        with contextlib.redirect_stdout(io.StringIO()), _quiet():
            return onnxslim.slim(model)
    except Exception as error:  # noqa: BLE001 (whatever it trips over, the unsimplified model is right)
        logging.getLogger(__name__).info("onnxslim failed, the file is not simplified: %s", error)
        return model


def embed_card(model: Any, card: ModelCard, **notes: str) -> None:
    """Put the card, and further text, into the model's properties."""
    kept = {
        p.key: p.value for p in model.metadata_props if not p.key.startswith(("pkg.", "namespace"))
    }
    _onnx().helper.set_model_props(model, {**kept, KEY: card_to_json(card), **notes})


def normalized_input(card: ModelCard, images: np.ndarray) -> Any:
    """One normalized ``(1, 3, h, w)`` float32 array after the other, for calibration."""
    from rtmpose.backends.onnxruntime import normalization_tables

    tables = normalization_tables(card.normalization)
    order = (2, 1, 0) if card.normalization.color == "rgb" else (0, 1, 2)
    for image in images:
        yield np.stack([table[image[..., c]] for c, table in zip(order, tables, strict=True)])[None]


def to_half(path: Path, out: Path, card: ModelCard) -> None:
    """A float32 ONNX file as float16 (inputs and outputs stay float32)."""
    onnx = _onnx()
    from onnxruntime.transformers.float16 import convert_float_to_float16

    # The norms sum squares, which half precision cannot hold.
    keep = [
        "ReduceL2",
        "ReduceSumSquare",
        "ReduceSum",
        "Div",
        "Clip",
        "Sqrt",
        "NonMaxSuppression",
        "TopK",
        "Range",
    ]
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # values below the smallest half are rounded to it: harmless, and verified
        model = convert_float_to_float16(
            onnx.load(str(path)), keep_io_types=True, op_block_list=keep
        )
    embed_card(model, card)
    onnx.save(model, str(out))


def store_half(model: Any, least: int = 512) -> Any:
    """Halve the file: large float32 constants are kept as float16 and cast back when the file is
    opened.

    Engines do the cast once, at loading: what is computed stays float32.

    Args:
        model: ONNX model; changed in place.
        least: Constants of fewer elements stay as they are.
    """
    onnx = _onnx()
    casts = []
    for constant in model.graph.initializer:
        if constant.data_type != onnx.TensorProto.FLOAT:
            continue
        values = onnx.numpy_helper.to_array(constant)
        if values.size < least or np.abs(values).max() > np.finfo(np.float16).max:
            continue
        name = constant.name
        constant.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        casts.append(
            onnx.helper.make_node(
                "Cast", [f"{name}.half"], [name], f"{name}.cast", to=onnx.TensorProto.FLOAT
            )
        )
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def _onnx() -> Any:
    try:
        import onnx
    except ImportError as error:
        raise MissingDependencyError(
            "exporting needs onnx: pip install 'rtmpose[export]'"
        ) from error
    return onnx


@contextlib.contextmanager
def _quiet() -> Any:
    """Keep converters' own log lines out of ours."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
