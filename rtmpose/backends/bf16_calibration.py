"""Make a network safe for bfloat16, once, and remember it.

After SiLU some channels of RTMPose's feature maps sit almost constantly at the function's floor,
and the 1x1 convolution behind them has large weights whose terms cancel. In fp32 the canceling is
exact enough; in bf16 its rounding dominates and costs 4 AP. The cure: subtract each input channel's
typical value c (its median over real crops) before a 1x1 convolution with weights W, and add W c to
its bias. The biases themselves are kept in fp32: in one channel of RTMPose-s, 11.71 rounded to
11.69 moves everything behind it, which costs up to 1 AP. The function stays the same; only the
rounding changes.

The medians are measured on the package's own photographs. After that the keypoints (or boxes) that
the network finds there in bf16, as it is and with the medians, are compared with fp32. The better
of the two is kept, and only one that agrees is trusted by ``precision="auto"``.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict, dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtmpose.backends.base import BackendOptions, Precision
from rtmpose.files import atomic_binary
from rtmpose.model_card import ModelCard
from rtmpose.ops import crop, heatmap, simcc
from rtmpose.ops.boxes import box_iou
from rtmpose.ops.detector_outputs import read_outputs
from rtmpose.ops.letterbox import letterbox
from rtmpose.sources.images import decode_image
from rtmpose.types import FloatArray, Image
from rtmpose.zoo.cache import bundled_folder, cache_folder

log = logging.getLogger(__name__)

METHOD_VERSION = 3
FAR = 1e30
"""More than any value of a network, and less than what the engine knows to have no effect."""
TRUSTED_POSE, TRUSTED_DETECTOR = 0.985, 0.95
"""Least agreement of bf16 with fp32 for a network to be trusted; see :func:`pose_agreement`,
:func:`box_agreement`.
"""


@dataclass(frozen=True)
class Preparation:
    """What was found when a network was prepared: the record kept beside the medians.

    Attributes:
        model: File name.
        sha256: Of the model file.
        method: Version of this procedure.
        convolutions: How many 1x1 convolutions are changed; 0 if the network agrees better as it
            is.
        inputs: How many crops or frames were measured.
        agreement_raw: Agreement of raw bf16 with fp32, 0..1; None where the CPU has no bf16.
        agreement: The same of what is used.
        trusted: Whether ``auto`` may use bf16.
    """

    model: str
    sha256: str
    method: int
    convolutions: int
    inputs: int
    agreement_raw: float | None
    agreement: float | None
    trusted: bool


def prepared_network(
    path: Path, card: ModelCard, options: BackendOptions
) -> tuple[Any, BackendOptions]:
    """The network to compile and the options with ``precision`` settled.

    ``fp32`` leaves the file as it is. ``bf16`` prepares it. ``auto`` means bf16 for a network whose
    preparation is trusted, on a CPU that has bf16, else fp32.
    """
    from rtmpose.backends import openvino

    if options.precision == "fp32" or options.device != "cpu" or not openvino.cpu_has_bf16():
        settled = options if options.precision == "bf16" else replace(options, precision="fp32")
        return None, settled
    network = openvino.read_network(path)
    height, width = (
        d.get_length() if d.is_static else None
        for d in list(network.inputs[0].get_partial_shape())[2:]
    )
    if height and width:
        card = replace(
            card, input_wh=(width, height)
        )  # a file the zoo does not know may have another size
    if not _can_be_judged(network, card):
        return network, (
            options if options.precision == "bf16" else replace(options, precision="fp32")
        )
    network, record = prepare(path, card, threads=options.threads)
    if options.precision == "auto" and not record.trusted:
        log.warning(
            "%s: bf16 agrees with fp32 to %s only, so fp32 is used; --precision bf16 takes it all"
            " the same",
            path.name,
            record.agreement,
        )
        return None, replace(options, precision="fp32")
    return network, replace(options, precision="bf16")


def prepare(path: Path, card: ModelCard, *, threads: int = 0) -> tuple[Any, Preparation]:
    """Prepare a network: measure or load its medians, put them in.

    Args:
        path: The ``.onnx`` file.
        card: Its description.
        threads: For the measurement.

    Returns:
        The changed ``openvino.Model`` and the record.
    """
    from rtmpose.backends import openvino

    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    medians, record = _load(digest)
    if record is None:
        log.info("preparing %s for bf16, once (about ten seconds) ...", path.name)
        inputs = bundled_crops(card) if card.is_pose else bundled_frames(card)
        medians = measure_medians(openvino.read_network(path), card, inputs)
        record = _judge(path, card, digest, medians, inputs, threads)
        medians = medians if record.convolutions else {}
        _save(digest, medians, record)
    network = openvino.read_network(path)
    subtract_medians(network, medians)
    keep_biases(network)
    return network, record


def measure_medians(
    network: Any, card: ModelCard, crops: NDArray[np.uint8]
) -> dict[str, FloatArray]:
    """Median of every input channel of every 1x1 convolution over the crops ``(N, h, w, 3)``; by
    layer name.
    """
    from rtmpose.backends import openvino

    # Two convolutions may share an input; it is measured once.
    readers: dict[tuple[str, int], list[str]] = {}
    sources = {}
    for node in _pointwise_convolutions(network):
        source = node.input_value(0)
        key = (source.get_node().get_name(), source.get_index())
        readers.setdefault(key, []).append(node.get_friendly_name())
        sources[key] = source
    first = len(network.outputs)
    network.add_outputs(list(sources.values()))
    folded = openvino.fold_normalization(network, card.normalization)
    compiled = openvino.core().compile_model(folded, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    request = compiled.create_infer_request()
    samples: dict[tuple[str, int], list[FloatArray]] = {key: [] for key in sources}
    generator = np.random.default_rng(0)
    for one in crops:
        request.infer({0: one[None]})
        for i, key in enumerate(sources):
            tensor = request.get_output_tensor(first + i).data
            value = tensor[0].reshape(tensor.shape[1], -1)
            places = generator.integers(0, value.shape[1], min(256, value.shape[1]))
            samples[key].append(value[:, places].copy())
    medians = {
        k: np.median(np.concatenate(v, axis=1), axis=1).astype(np.float32)
        for k, v in samples.items()
    }
    return {name: medians[key] for key, names in readers.items() for name in names}


def subtract_medians(network: Any, medians: dict[str, FloatArray]) -> int:
    """Put ``x - c`` before each named 1x1 convolution and ``W c`` behind it, in place; how many
    were changed.
    """
    from openvino import opset13 as ops

    changed = 0
    for node in _pointwise_convolutions(network):
        center = medians.get(node.get_friendly_name())
        weights = _constant(node.input_value(1))
        if center is None or weights is None:
            continue
        shape = (1, -1, 1, 1)
        shifted = ops.subtract(node.input_value(0), ops.constant(center.reshape(shape)))
        bias = weights[:, :, 0, 0].astype(np.float64) @ center.astype(np.float64)
        targets = node.output(0).get_target_inputs()
        node.input(0).replace_source_output(shifted.output(0))
        added = ops.add(node.output(0), ops.constant(bias.astype(np.float32).reshape(shape)))
        for target in targets:
            target.replace_source_output(added.output(0))
        changed += 1
    network.validate_nodes_and_infer_types()
    return changed


def keep_biases(network: Any) -> int:
    """Keep the biases of depthwise and 1x1 convolutions in fp32, in place; how many were changed.

    The engine makes the addition behind a convolution part of it, and rounds what is added to bf16
    with the weights. Behind an operation that changes nothing it is computed before the result is
    rounded, for about 1 % of the time.
    """
    from openvino import opset13 as ops

    changed = 0
    for node in [
        n
        for n in network.get_ordered_ops()
        if n.get_type_name() in ("Convolution", "GroupConvolution")
    ]:
        if node.get_type_name() == "Convolution" and _kernel(node) != [1, 1]:
            continue
        # Others may ask for the shape only.
        additions = [
            t for t in node.output(0).get_target_inputs() if t.get_node().get_type_name() == "Add"
        ]
        if len(additions) == 1:
            additions[0].replace_source_output(ops.clamp(node.output(0), -FAR, FAR).output(0))
            changed += 1
    network.validate_nodes_and_infer_types()
    return changed


def bundled_crops(card: ModelCard) -> NDArray[np.uint8]:
    """Crops ``(N, h, w, 3)`` BGR of annotated people in the package's photographs that no
    evaluation set holds.
    """
    annotations = json.loads(
        _photo_folder().joinpath("person_keypoints.json").read_text(encoding="utf-8")
    )
    ids = {image["file_name"]: image["id"] for image in annotations["images"]}
    crops = []
    for name, pixels in _photos():
        boxes = [
            (x, y, x + w, y + h)
            for a in annotations["annotations"]
            if a["image_id"] == ids.get(name) and a.get("num_keypoints") and not a.get("iscrowd")
            for x, y, w, h in [a["bbox"]]
        ]
        if boxes:
            udp = card.codec.kind == "heatmap"
            crops.append(
                crop.crop_people(pixels, np.array(boxes, np.float32), card.input_wh, udp=udp)[0]
            )
    return np.concatenate(crops)


def bundled_frames(card: ModelCard) -> NDArray[np.uint8]:
    """The same photographs whole, letterboxed and mirrored: ``(N, h, w, 3)`` BGR."""
    plain = [letterbox(pixels, card.input_wh)[0] for _, pixels in _photos()]
    turned = [
        letterbox(np.ascontiguousarray(pixels[:, ::-1]), card.input_wh)[0]
        for _, pixels in _photos()
    ]
    return np.stack(plain + turned)


def bundled_photos() -> list[Image]:
    """The package's photographs that no evaluation set holds, BGR."""
    return [pixels for _, pixels in _photos()]


def _can_be_judged(network: Any, card: ModelCard) -> bool:
    """Whether the network takes normalized pixels and returns what :func:`pose_agreement` reads;
    not if quantized.
    """
    from rtmpose.backends import openvino

    outputs = [o.get_any_name() for o in network.outputs]
    quantized = any(node.get_type_name() == "FakeQuantize" for node in network.get_ops())
    return not (openvino.takes_pixels(network) or quantized or outputs == ["keypoints", "scores"])


def _photo_folder() -> Any:
    return resources.files("rtmpose").joinpath("assets").joinpath("photos")


def _photos() -> list[tuple[str, Image]]:
    """Names and pixels of the photographs that are in no evaluation set."""
    rows = [
        line.split("\t")
        for line in _photo_folder().joinpath("ATTRIBUTION.tsv").read_text("utf-8").splitlines()
    ]
    overlap = rows[0].index("eval_overlap")
    names = [r[0] for r in rows[1:] if r[overlap].strip() != "in coco_val_subset"]
    return [
        (name, decode_image(_photo_folder().joinpath(name).read_bytes(), name)) for name in names
    ]


def _judge(
    path: Path,
    card: ModelCard,
    digest: str,
    medians: dict[str, FloatArray],
    inputs: NDArray[np.uint8],
    threads: int,
) -> Preparation:
    """Compare bf16, as it is and with the medians, with fp32."""
    from rtmpose.backends import openvino

    def run(precision: Precision, with_medians: bool) -> list[tuple[NDArray[Any], ...]]:
        network = openvino.read_network(path)
        if with_medians:
            subtract_medians(network, medians)
        if precision == "bf16":
            keep_biases(network)
        options = BackendOptions("openvino", "cpu", threads, precision=precision)
        backend = openvino.OpenVinoBackend(path, card.normalization, options, network)
        return [backend(one[None]) for one in inputs]

    if not openvino.cpu_has_bf16():
        return Preparation(
            path.name, digest, METHOD_VERSION, len(medians), len(inputs), None, None, False
        )
    exact = run("fp32", False)
    agreement = pose_agreement if card.is_pose else box_agreement
    raw, centered = (
        agreement(card, exact, run("bf16", with_medians)) for with_medians in (False, True)
    )
    best = max(raw, centered)
    trusted = best >= (TRUSTED_POSE if card.is_pose else TRUSTED_DETECTOR)
    changed = len(medians) if centered >= raw else 0
    return Preparation(path.name, digest, METHOD_VERSION, changed, len(inputs), raw, best, trusted)


Runs = list[tuple[NDArray[Any], ...]]


def pose_agreement(card: ModelCard, exact: Runs, other: Runs) -> float:
    """Mean over the sure keypoints of exp(-d^2 / 2 s^2), d their distance in crop pixels, s = 4
    pixels.
    """

    def points(runs: Runs) -> tuple[FloatArray, FloatArray]:
        outputs = [np.concatenate(column) for column in zip(*runs, strict=True)]
        if card.codec.kind == "heatmap":
            return heatmap.decode(outputs[0], card.input_wh)
        return simcc.decode(outputs[0], outputs[1], card.codec.split_ratio)

    (places, scores), (others, _) = points(exact), points(other)
    sure = scores > 0.3
    if not sure.any():
        return 0.0
    distance = ((places - others)[sure] ** 2).sum(axis=1)
    return round(float(np.exp(-distance / 32).mean()), 4)


def box_agreement(card: ModelCard, exact: Runs, other: Runs) -> float:
    """Mean over the sure boxes of the overlap with the best box, less the difference of the scores."""
    values = []
    for ours, theirs in zip(exact, other, strict=True):
        a, b = (read_outputs(o, 0.05, card.id) for o in (ours, theirs))
        a = a[a.scores > 0.3]
        if len(a) and len(b):
            overlap = box_iou(a.boxes, b.boxes)
            best = overlap.argmax(axis=1)
            values += list(overlap.max(axis=1) - np.abs(a.scores - b.scores[best]))
        else:
            values += [0.0] * len(a)
    return round(float(np.mean(values)), 4) if values else 0.0


def _pointwise_convolutions(network: Any) -> list[Any]:
    return [
        node
        for node in network.get_ordered_ops()
        if node.get_type_name() == "Convolution"
        and _kernel(node) == [1, 1]
        and node.input_value(0).get_partial_shape()[2] != 1
    ]


def _kernel(convolution: Any) -> list[int]:
    """Height and width of the weights."""
    return list(convolution.input_value(1).get_partial_shape().to_shape()[-2:])


def _constant(output: Any) -> NDArray[np.float32] | None:
    """The data of a constant, also through a conversion from half precision."""
    node = output.get_node()
    if node.get_type_name() == "Convert":
        node = node.input_value(0).get_node()
    return np.asarray(node.data, np.float32) if node.get_type_name() == "Constant" else None


def _place(digest: str) -> Path:
    return cache_folder() / "prepared" / f"{digest[:16]}-v{METHOD_VERSION}.npz"


def _load(digest: str) -> tuple[dict[str, FloatArray], Preparation | None]:
    """From the package, which brings those of its own models, or from the cache."""
    for path in (bundled_folder() / _place(digest).name, _place(digest)):
        try:
            with np.load(path, allow_pickle=False) as stored:
                record = Preparation(**json.loads(str(stored["record"])))
                return {k[2:]: stored[k] for k in stored.files if k.startswith("m/")}, record
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return {}, None


def _save(digest: str, medians: dict[str, FloatArray], record: Preparation) -> None:
    """Atomic; a cache that cannot be written only costs the measurement next time."""
    path = _place(digest)
    try:
        with atomic_binary(path) as file:
            arrays: dict[str, Any] = {f"m/{k}": v for k, v in medians.items()}
            np.savez(file, record=np.array(json.dumps(asdict(record))), **arrays)
    except OSError as error:
        log.warning(
            "the preparation of %s could not be kept in %s: %s", record.model, path.parent, error
        )
