"""Whether ncnn's files are whole. ncnn reads past the end of files that are not, which ends the
process, so they are checked before it sees them.

Exports of this package have a record of their sizes and checksums. Files of others are read as far
as the layers say: the network's text line by line, and the weights' sizes behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rtmpose.cards.file_record import check_file, read_records
from rtmpose.cards.io import sidecar_card_path
from rtmpose.errors import ModelError

MAGIC = "7767517"
LARGEST_TEXT = 50_000_000
"""Bytes of a ``.param`` file; real ones have thousands."""
MOST_BLOBS = 1_000_000
_HALF, _INT8, _PLAIN = 0x01306B47, 0x000D4B38, 0x0002C056
_TABLE_BYTES = 256 * 4


def check_ncnn_files(model: Path, weights: Path) -> None:
    """Check a network's ``.param`` and ``.bin`` file.

    Raises:
        ModelError: a file is missing, damaged, or not what the other one needs.
    """
    for path, what in ((model, "network"), (weights, "weights")):
        if not path.is_file():
            raise ModelError(
                f"{model.name} needs the {what} file {path.name} next to it: {path} does not exist"
            )
    text = _read(model)
    data = _read(weights)
    if not text.startswith(MAGIC.encode()) and data.startswith(MAGIC.encode()):
        raise ModelError(f"{model} and {weights.name} are swapped: exchange their names")

    # What was recorded at the export is certain.
    records = read_records(sidecar_card_path(model))
    if records is not None:
        check_file(model, records)
        check_file(weights, records)
        return

    try:
        layers = _read_layers(text)
        _check_blobs(layers)
        _check_weights(layers, data, weights.name)
    except ValueError as error:
        raise ModelError(
            f"{model} cannot be opened by ncnn: {error}. It is damaged, or {weights.name} belongs"
            " to another network; copy both files again, or export the model again"
        ) from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from error


# ---- the network's text


@dataclass(frozen=True)
class _Layer:
    """One line: type and name of the layer, what goes in and out, and its parameters."""

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    params: Mapping[str, str]

    def integer(self, key: int, default: int = 0) -> int:
        text = self.params.get(str(key))
        if text is None:
            return default
        try:
            value = int(text)
        except ValueError:
            raise ValueError(f"parameter {key} of {self.name} is {text[:40]!r}") from None
        if not -(1 << 31) <= value < 1 << 31:
            raise ValueError(f"parameter {key} of {self.name} is {text[:40]}")
        return value

    def count(self, key: int) -> int:
        """A parameter that counts something."""
        value = self.integer(key)
        if value < 0:
            raise ValueError(f"parameter {key} of {self.name} is {value}")
        return value


def _read_layers(content: bytes) -> list[_Layer]:
    if len(content) > LARGEST_TEXT:
        raise ValueError(f"its text has {len(content):,} bytes")
    try:
        lines = content.decode("ascii").splitlines()
    except UnicodeDecodeError:
        raise ValueError("it is not a text") from None
    if not lines or lines[0].strip() != MAGIC:
        raise ValueError(f"it does not begin with {MAGIC}")

    # The second line has the numbers of layers and of what passes between them.
    numbers = lines[1].split() if len(lines) > 1 else []
    if len(numbers) != 2 or not all(n.isdigit() and len(n) < 10 for n in numbers):
        raise ValueError("its second line does not give the number of layers and blobs")
    layers = [_read_layer(line) for line in lines[2:] if line.strip()]
    if len(layers) != int(numbers[0]):
        raise ValueError(f"it has {len(layers)} layers, but should have {numbers[0]}")
    outputs = sum(len(layer.outputs) for layer in layers)
    if outputs != int(numbers[1]) or outputs > MOST_BLOBS:
        raise ValueError(f"its layers have {outputs} outputs, but should have {numbers[1]}")
    return layers


def _read_layer(line: str) -> _Layer:
    words = line.split()
    shown = line.strip()[:60]
    if len(words) < 4 or not words[2].isdigit() or not words[3].isdigit():
        raise ValueError(f"the line {shown!r} is not a layer")
    inputs_end = 4 + min(int(words[2]), len(words))
    outputs_end = inputs_end + min(int(words[3]), len(words))
    if len(words) < outputs_end:
        raise ValueError(f"the line {shown!r} is cut short")
    params = {}
    for word in words[outputs_end:]:
        key, equals, value = word.partition("=")
        if not equals or not key.lstrip("-").isdigit() or not value:
            raise ValueError(f"the line {shown!r} has the parameter {word[:40]!r}")
        params[key] = value
    return _Layer(
        words[0], words[1], tuple(words[4:inputs_end]), tuple(words[inputs_end:outputs_end]), params
    )


def _check_blobs(layers: list[_Layer]) -> None:
    """Every layer reads what an earlier one has written."""
    known: set[str] = set()
    for layer in layers:
        for name in layer.inputs:
            if name not in known:
                raise ValueError(f"the layer {layer.name} reads {name!r}, which does not exist")
        for name in layer.outputs:
            if name in known:
                raise ValueError(f"the layer {layer.name} writes {name!r} for the second time")
            known.add(name)


# ---- the weights


@dataclass
class _Reader:
    """A place in the weights, moved on over what each layer takes."""

    data: bytes
    at: int = 0

    def plain(self, count: int) -> None:
        """Numbers in float32."""
        self._move(4 * count)

    def tagged(self, count: int) -> None:
        """Numbers in the type that the four bytes before them say."""
        tag = int.from_bytes(self.data[self.at : self.at + 4], "little")
        self._move(4)
        if tag == _HALF:
            self._move(_aligned(2 * count))
        elif tag == _INT8:
            self._move(_aligned(count))
        elif tag in (_PLAIN, 0):
            self._move(4 * count)
        else:  # a table of 256 values and the place of each number in it
            self._move(_TABLE_BYTES + _aligned(count))

    def _move(self, size: int) -> None:
        self.at += size
        if self.at > len(self.data):
            raise ValueError(f"its weights have {len(self.data):,} bytes, which is too few")


def _aligned(size: int) -> int:
    return (size + 3) // 4 * 4


def _convolution(layer: _Layer, reader: _Reader) -> None:
    if layer.integer(19):  # the weights are an input
        return
    reader.tagged(layer.count(6))
    if layer.integer(5):
        reader.plain(layer.count(0))


def _inner_product(layer: _Layer, reader: _Reader) -> None:
    reader.tagged(layer.count(2))
    if layer.integer(1):
        reader.plain(layer.count(0))


def _embed(layer: _Layer, reader: _Reader) -> None:
    reader.tagged(layer.count(3))
    if layer.integer(2):
        reader.plain(layer.count(0))


def _memory_data(layer: _Layer, reader: _Reader) -> None:
    size = 1
    for key in (0, 1, 11, 2):
        size *= layer.count(key) or 1
    read = reader.plain if layer.integer(21, 1) == 1 else reader.tagged
    read(size)


def _gemm(layer: _Layer, reader: _Reader) -> None:
    m, n, k = (layer.count(key) for key in (7, 8, 9))
    if layer.integer(4):
        reader.tagged(m * k)
    if layer.integer(5):
        reader.tagged(n * k)
    broadcast = layer.integer(10)
    if layer.integer(6) and broadcast != -1:
        sizes = {0: 1, 1: m, 2: m, 3: n * m, 4: n}
        if broadcast not in sizes:
            raise ValueError(f"parameter 10 of {layer.name} is {broadcast}")
        reader.tagged(sizes[broadcast])


def _norm(size_key: int, affine_key: int, arrays: int = 2) -> Callable[[_Layer, _Reader], None]:
    def read(layer: _Layer, reader: _Reader) -> None:
        if layer.integer(affine_key, 1):
            reader.plain(arrays * layer.count(size_key))

    return read


def _scale(layer: _Layer, reader: _Reader) -> None:
    if layer.integer(0) == -233:  # the scales are an input
        return
    reader.plain(layer.count(0) * (2 if layer.integer(1) else 1))


_WITH_WEIGHTS: Mapping[str, Callable[[_Layer, _Reader], None]] = {
    **dict.fromkeys(
        (
            "Convolution",
            "ConvolutionDepthWise",
            "Convolution1D",
            "ConvolutionDepthWise1D",
            "Convolution3D",
            "ConvolutionDepthWise3D",
            "Deconvolution",
            "DeconvolutionDepthWise",
        ),
        _convolution,
    ),
    "InnerProduct": _inner_product,
    "Embed": _embed,
    "MemoryData": _memory_data,
    "Gemm": _gemm,
    "Scale": _scale,
    "BatchNorm": lambda layer, reader: reader.plain(4 * layer.count(0)),
    "PReLU": lambda layer, reader: reader.plain(layer.count(0)),
    "Bias": lambda layer, reader: reader.plain(layer.count(0)),
    "Normalize": lambda layer, reader: reader.plain(layer.count(3)),
    "LayerNorm": _norm(0, 2),
    "RMSNorm": _norm(0, 2, 1),
    "InstanceNorm": _norm(0, 2),
    "GroupNorm": _norm(1, 3),
}

_INT8_KEYS = {"Convolution": 8, "ConvolutionDepthWise": 8, "InnerProduct": 8, "Gemm": 18}

_PLAIN_LAYERS = """
AbsVal ArgMax BinaryOp BNLL CELU Clip Concat CopyTo Crop CumulativeSum Dequantize DetectionOutput
Diag Dropout Einsum ELU Eltwise Erf Exp ExpandDims Flatten Flip Fold GELU GLU GridSample HardSigmoid
HardSwish Input Interp InverseSpectrogram Log LRN MatMul Mish MVN Noop Packing Padding Permute
PixelShuffle Pooling Pooling1D Pooling3D Power PriorBox Proposal Reduction ReLU Reorg Reshape
ROIAlign ROIPooling SELU Shrink ShuffleChannel Sigmoid Slice Softmax Softplus Split Squeeze Swish
TanH Threshold Tile UnaryOp Unfold Yolov3DetectionOutput YoloDetectionOutput
"""
_WITHOUT_WEIGHTS = frozenset(_PLAIN_LAYERS.split())


def _check_weights(layers: list[_Layer], data: bytes, name: str) -> None:
    """The layers take all bytes of the weights, one after the other."""
    reader = _Reader(data)
    for layer in layers:
        read = _WITH_WEIGHTS.get(layer.kind)
        quantized = layer.kind in _INT8_KEYS and layer.integer(_INT8_KEYS[layer.kind])
        if quantized or (read is None and layer.kind not in _WITHOUT_WEIGHTS):
            what = "quantized " if quantized else ""
            raise ValueError(
                f"the size of the weights of its {what}layer {layer.kind} is not known, so that"
                f" {name} cannot be checked without the record that rtmpose export writes"
            )
        if read is not None:
            read(layer, reader)
    if reader.at != len(data):
        raise ValueError(f"its layers need {reader.at:,} bytes of weights, not {len(data):,}")
