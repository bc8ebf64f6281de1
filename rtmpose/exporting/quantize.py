"""Static 8-bit quantization after training, for OpenVINO (NNCF) and ONNX Runtime (QDQ).

Plain quantization ruins these networks: some channels sit far from zero and almost constant, so
that one scale for the whole tensor leaves nothing for the rest. What makes it work:
:mod:`rtmpose.exporting.equalize` first, which changes nothing but the ranges; 8 bits for
convolutions alone (the gated attention is a hundredth of the work); weights scaled per channel,
biases corrected on the calibration crops. If that is not enough, the layers whose quantization does
most damage on held-out crops are kept in float.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtmpose.backends.base import BackendOptions
from rtmpose.errors import InputError, MissingDependencyError
from rtmpose.model_card import ModelCard

log = logging.getLogger(__name__)

CROPS = 300
FLOAT_STEPS = (2, 4, 8, 12)
"""How many of the most harmful layers are tried in float, one after the other."""

GOOD_ENOUGH = 0.93
"""Agreement with float on held-out crops that needs no layer in float; see
:func:`rtmpose.exporting.verify.agreement`.
"""


def calibration_images(
    card: ModelCard, folder: Path | None, limit: int = CROPS
) -> NDArray[np.uint8]:
    """Crops of the people (frames, for a detector) in a folder's photographs; the package's own
    without a folder.

    Raises:
        InputError: the folder has no image, or nobody is found in them.
    """
    from rtmpose.exporting.verify import sample_images

    if folder is None:
        return sample_images(card)
    from rtmpose.detector import Detector
    from rtmpose.ops.crop import crop_people
    from rtmpose.ops.decoders import keypoint_decoder
    from rtmpose.ops.letterbox import letterbox
    from rtmpose.sources import read_image

    files = sorted(
        p
        for p in folder.rglob("*")
        if p.suffix.lower() in (".jpg", ".jpeg", ".png", ".bmp", ".webp")
    )
    if not files:
        raise InputError(f"{folder} holds no photographs to calibrate on")
    step = max(1, len(files) // limit)
    detector = None if card.output in ("boxes", "people") else Detector()
    parts: list[NDArray[np.uint8]] = []
    for file in files[::step] if detector is None else files:
        try:
            image = read_image(file)
        except InputError as error:
            log.warning("skipped: %s", error)
            continue
        if detector is None:
            parts.append(letterbox(image, card.input_wh)[0][None].copy())
        else:
            found = detector(image)[:4]
            if len(found):
                parts.append(
                    crop_people(
                        image,
                        found.boxes,
                        card.input_wh,
                        udp=card.is_pose and keypoint_decoder(card).udp,
                    )[0]
                )
        if sum(map(len, parts)) >= limit:
            break
    if not parts:
        raise InputError(
            f"nobody was found in the photographs of {folder}: nothing to calibrate on"
        )
    return np.concatenate(parts)[:limit]


def quantize_openvino(
    onnx_file: Path,
    card: ModelCard,
    images: NDArray[np.uint8],
    *,
    progress: Callable[[str], None] = log.info,
) -> tuple[Any, dict[str, Any]]:
    """An ``openvino.Model`` with 8-bit convolutions.

    Args:
        onnx_file: The equalized float network, normalized pixels in.
        card: Its description.
        images: Calibration crops or frames ``(N, h, w, 3)``; every fourth judges.
        progress: Told of each step.

    Returns:
        The model and a record of what was done.
    """
    try:
        with _quiet_nncf():
            import nncf
    except ImportError as error:
        raise MissingDependencyError(
            "int8 for OpenVINO needs nncf: pip install 'rtmpose[export]'"
        ) from error
    from rtmpose.backends.openvino import OpenVinoBackend
    from rtmpose.backends.openvino_network import read_network
    from rtmpose.exporting.onnx import normalized_input
    from rtmpose.exporting.verify import agreement, run_on

    judges = images[::4] if len(images) >= 8 else images
    learners = np.delete(images, np.s_[::4], axis=0) if len(images) >= 8 else images
    options = BackendOptions("openvino", "cpu", precision="fp32")
    exact = run_on(OpenVinoBackend(onnx_file, card, options), judges)
    layers = list(read_network(onnx_file).get_ordered_ops())
    convolutions = [n.get_friendly_name() for n in layers if n.get_type_name() in _QUANTIZED]
    others = sorted(
        {n.get_type_name() for n in layers} - {*_QUANTIZED, "Parameter", "Result", "Constant"}
    )
    samples = list(normalized_input(card, learners))

    def quantized(floats: list[str]) -> Any:
        with _quiet_nncf():
            return nncf.quantize(
                read_network(onnx_file),
                nncf.Dataset(samples),
                preset=nncf.QuantizationPreset.MIXED,
                subset_size=len(samples),
                fast_bias_correction=False,
                ignored_scope=nncf.IgnoredScope(names=floats, types=others, validate=False),
            )

    def judge(network: Any) -> float:
        backend = OpenVinoBackend(network, card, options)
        return agreement(card, exact, run_on(backend, judges))

    progress(f"quantizing {len(convolutions)} convolutions ...")
    best = quantized([])
    value = judge(best.clone())
    tried, kept = {0: round(value, 4)}, 0
    ranking: list[str] = []
    if value < GOOD_ENOUGH:
        progress(f"agreement {value:.3f}: measuring the damage of {len(convolutions)} layers ...")
        damage = _layer_damage(best, convolutions, judge)
        ranking = sorted(convolutions, key=lambda name: -damage.get(name, 0.0))
    for count in FLOAT_STEPS:
        if value >= GOOD_ENOUGH or count > len(ranking) // 2:
            break
        network = quantized(ranking[:count])
        now = judge(network.clone())
        tried[count] = round(now, 4)
        progress(f"{count} layers in float: agreement {now:.3f}")
        if now > value + 0.002:
            best, value, kept = network, now, count
    record = {
        "calibrated_on": len(learners),
        "judged_on": len(judges),
        "agreement": tried,
        "float_layers": ranking[:kept],
        "convolutions": len(convolutions),
    }
    return best, record


_QUANTIZED = ("Convolution", "GroupConvolution")


def _layer_damage(
    network: Any, names: list[str], judge: Callable[[Any], float]
) -> dict[str, float]:
    """By layer: how much agreement returns when its inputs and weights alone are left in float."""
    base = judge(network.clone())
    damage = {}
    for name in names:
        trial = network.clone()
        for node in trial.get_ops():
            if node.get_friendly_name() != name:
                continue
            for i in range(2):
                source = node.input_value(i).get_node()
                # Weights may pass a reshape between quantizer and layer.
                while source.get_type_name() in ("Reshape", "Convert"):
                    source = source.input_value(0).get_node()
                if source.get_type_name() == "FakeQuantize":
                    if source is node.input_value(i).get_node():
                        node.input(i).replace_source_output(source.input_value(0))
                    else:
                        for target in source.output(0).get_target_inputs():
                            target.replace_source_output(source.input_value(0))
        trial.validate_nodes_and_infer_types()
        damage[name] = judge(trial) - base
    return damage


def quantize_onnx(
    onnx_file: Path, card: ModelCard, images: NDArray[np.uint8], out: Path, floats: int = 0
) -> dict[str, Any]:
    """Write an ONNX file with QuantizeLinear / DequantizeLinear pairs around its convolutions, for
    ONNX Runtime.

    Args:
        onnx_file: The float network, normalized pixels in.
        card: Its description.
        images: Calibration crops or frames.
        out: The file.
        floats: How many of the first convolutions stay in float, beside the attention and the last
            layer.

    Returns:
        A record of what was done.
    """
    import onnx
    from onnxruntime import quantization

    from rtmpose.exporting.onnx import embed_card, normalized_input

    model = onnx.load(str(onnx_file))
    name = model.graph.input[0].name

    class Reader(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self._rows: Iterator[Any] = normalized_input(card, images)

        def get_next(self) -> dict[str, Any] | None:
            batch = next(self._rows, None)
            return None if batch is None else {name: batch}

    convolutions = [n.name for n in model.graph.node if n.op_type == "Conv"]
    kept = convolutions[floats:]
    with contextlib.redirect_stdout(None):
        quantization.quantize_static(
            str(onnx_file),
            str(out),
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            nodes_to_quantize=kept,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            # One scale cannot hold what a convolution puts out; its inputs, equalized, can be held.
            # One outlier among 300 crops would stretch a range for all: ranges follow a moving
            # average.
            extra_options={
                "OpTypesToExcludeOutputQuantization": ["Conv"],
                "CalibMovingAverage": True,
                "CalibMovingAverageConstant": 0.01,
            },
        )
    written = onnx.load(str(out))
    embed_card(written, card)
    onnx.save(written, str(out))
    return {
        "calibrated_on": len(images),
        "convolutions": len(convolutions),
        "float_layers": convolutions[:floats],
    }


@contextlib.contextmanager
def _quiet_nncf() -> Iterator[None]:
    """NNCF talks a lot, partly through its own progress bars."""
    from rtmpose.exporting.engines import _silent

    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with _silent():
            yield
    finally:
        logging.disable(before)
