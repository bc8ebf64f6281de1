"""torch network to ONNX file: dynamic batch, optional normalization and decoding inside, the card
embedded.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import onnx
import torch
from onnx import ModelProto
from torch import Tensor, nn

from rtmpose.errors import InputError, ModelError
from rtmpose.exporting.onnx_edits import append_nms, embed_card, simplify, store_half
from rtmpose.exporting.opset import to_opset
from rtmpose.exporting.silence import no_logging
from rtmpose.model_card import ModelCard, Normalization
from rtmpose.networks.fuse import fuse_norms
from rtmpose.networks.rtmdet import RTMDet, RTMDetBoxes
from rtmpose.ranges import BATCH, check_fields
from rtmpose.ranges import OPSET as OPSET_RANGE

OPSET = 18
IR_VERSION = 8
"""Old enough for the runtimes of 2023, the deployment SDK's among them."""

OUTPUT_NAMES = {
    "simcc": ["simcc_x", "simcc_y"],
    "heatmap": ["heatmap"],
    "classifier": ["logits"],
    "rtmdet": ["boxes", "scores"],
}
"""By kind of codec: names of the outputs of a file without decoding and suppression inside."""


@dataclass(frozen=True)
class OnnxOptions:
    """What goes into the file besides the network.

    Attributes:
        batch: A fixed number of images, or None for any.
        normalize: Normalization inside: the input is BGR uint8 ``(N, H, W, 3)``.
        decode: Decoding inside: the outputs are keypoints in crop pixels and scores (SimCC
            networks).
        nms: For detectors: non-maximum suppression inside; the batch is 1.
        opset: Version of the operators; None for :data:`OPSET`.
        half_weights: Weights are stored as float16 and computed with in float32.
    """

    batch: int | None = None
    normalize: bool = False
    decode: bool = False
    nms: bool = True
    half_weights: bool = False
    opset: int | None = None

    def __post_init__(self) -> None:
        check_fields(self, batch=BATCH.optional(), opset=OPSET_RANGE.optional())


class Normalize(nn.Module):
    """A network that takes BGR uint8 ``(N, H, W, 3)`` in place of normalized float."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, normalization: Normalization) -> None:
        super().__init__()
        self.network = network
        self.flip = normalization.color == "rgb"
        for name in ("mean", "std"):
            values = torch.tensor(getattr(normalization, name), dtype=torch.float32)
            self.register_buffer(name, values.view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> object:
        """Images to whatever the network returns."""
        pixels = images.permute(0, 3, 1, 2).float()  # (N, H, W, 3) -> (N, 3, H, W)
        if self.flip:
            pixels = pixels[:, [2, 1, 0]]  # BGR to RGB
        return self.network((pixels - self.mean) / self.std)


class DecodeSimCC(nn.Module):
    """Keypoints ``(N, K, 2)`` in crop pixels and scores ``(N, K)`` in place of the two
    classifications.
    """

    def __init__(self, network: nn.Module, split_ratio: float) -> None:
        super().__init__()
        self.network = network
        self.split_ratio = split_ratio

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Crops to keypoints and scores; where the score is not positive there is no keypoint: -1
        bin.
        """
        x, y = self.network(crops)  # (N, K, bins) each
        # The score of a keypoint is that of its worse axis.
        score_x, bin_x = x.max(dim=2)
        score_y, bin_y = y.max(dim=2)
        scores = torch.minimum(score_x, score_y)
        bins = torch.stack([bin_x, bin_y], dim=2).float()
        bins = torch.where((scores > 0).unsqueeze(2), bins, torch.full_like(bins, -1))
        return bins / self.split_ratio, scores


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
    # A detector with the suppression inside takes one image at a time.
    options = options or OnnxOptions()
    suppress = isinstance(network, RTMDet) and options.nms
    _check(card, options, suppress=suppress)
    model = _convert(network, card, options, batch=1 if suppress else options.batch)
    if suppress:
        append_nms(model, max(len(card.classes), 1))

    # Weights are halved last: the simplifier would fold the casts.
    model = simplify(model)
    if options.half_weights:
        store_half(model)

    # Older operators last: what is added above has the newer ones.
    if options.opset is not None:
        model = to_opset(model, card.id, options.opset)

    # Shapes of values in between are up to a quarter of a small file, and every engine infers them.
    model.graph.ClearField("value_info")
    model.ir_version = IR_VERSION
    embed_card(model, card)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))


def _check(card: ModelCard, options: OnnxOptions, *, suppress: bool) -> None:
    # Options that do not fit the network, before the slow conversion.
    if options.decode and card.codec.kind != "simcc":
        raise InputError(
            f"decoding inside the file is for SimCC networks, not for {card.codec.kind}"
        )
    if suppress and options.batch not in (None, 1):
        raise InputError(
            "a detector with the suppression inside takes one image at a time: --no-nms, or"
            " --batch 1"
        )


def _convert(
    network: nn.Module, card: ModelCard, options: OnnxOptions, batch: int | None
) -> ModelProto:
    """The network in ONNX, with what the options put around it, as torch writes it."""
    graph = fuse_norms(network)  # leaves a network that is folded already as it is
    names = OUTPUT_NAMES.get(card.codec.kind, [])

    # What the file computes around the network.
    if isinstance(graph, RTMDet):
        graph = RTMDetBoxes(graph)
    if options.decode:
        graph = DecodeSimCC(graph, card.codec.split_ratio)
        names = ["keypoints", "scores"]

    # The exporter traces an example; a batch of 1 would be taken for a constant.
    width, height = card.input_wh
    example = torch.zeros(batch or 2, 3, height, width)
    if options.normalize:
        graph = Normalize(graph, card.normalization)
        example = torch.zeros(batch or 2, height, width, 3).byte()

    try:
        with contextlib.redirect_stdout(io.StringIO()), no_logging():
            program = torch.onnx.export(
                graph.eval(),
                (example,),
                input_names=["input"],
                output_names=names,
                opset_version=OPSET,
                dynamic_shapes=_dynamic_axes(batch, card, options),
                dynamo=True,
                verbose=False,
            )
    except Exception as error:
        raise ModelError(
            f"torch could not convert {card.id} to ONNX: {str(error).strip().splitlines()[0]}"
        ) from error
    assert program is not None  # it writes a file itself only where it is given a name
    return program.model_proto


def _dynamic_axes(
    batch: int | None, card: ModelCard, options: OnnxOptions
) -> tuple[dict[int, object]] | None:
    """The axes that are left open: the batch; height and width too for detectors that take any
    shape.
    """
    # Sides are multiples of 32: the stride of the coarsest map.
    axes: dict[int, object] = {} if batch is not None else {0: torch.export.Dim("batch")}
    if card.input_fit == "rectangular":
        first = 1 if options.normalize else 2
        axes[first] = 32 * torch.export.Dim("rows", min=1)
        axes[first + 1] = 32 * torch.export.Dim("columns", min=1)
    return (axes,) if axes else None


def to_half(path: Path, out: Path, card: ModelCard) -> None:
    """Convert a float32 ONNX file to float16; inputs and outputs stay float32.

    Args:
        path: The float32 file.
        out: The float16 file.
        card: Embedded.
    """
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
        # Values below the smallest half are rounded to it: harmless, and verified.
        warnings.simplefilter("ignore")

        # Inputs and outputs stay float32, so that the file is used like any other.
        model = convert_float_to_float16(
            onnx.load(str(path)), keep_io_types=True, op_block_list=keep
        )

    # The card goes into the new file too.
    embed_card(model, card)
    onnx.save(model, str(out))
