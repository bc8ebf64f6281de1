"""Static 8-bit quantisation after training, for OpenVINO (NNCF) and ONNX Runtime (QDQ).

Plain quantisation ruins these networks: some channels sit far from zero and almost constant, so that one scale for
the whole tensor leaves nothing for the rest. Three things help: the exact centring of
:mod:`rtmpose.backends.prepare` first; weights scaled per channel, and biases corrected on the calibration crops; and
the layers whose quantisation does most damage, as measured on held-out crops, kept in float.
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
from rtmpose.types import ModelCard

log = logging.getLogger(__name__)

CROPS = 300
FLOAT_STEPS = (0, 2, 4, 6, 8, 10, 14, 18)
"""How many of the most harmful layers are tried in float, one after the other."""


def calibration_images(card: ModelCard, folder: Path | None, limit: int = CROPS) -> NDArray[np.uint8]:
    """Crops of the people (frames, for a detector) in a folder's photographs; the package's own without a folder.

    Raises:
        InputError: the folder has no image, or nobody is found in them.
    """
    from rtmpose.export.verify import sample_images

    if folder is None:
        return sample_images(card)
    from rtmpose.detect.detector import Detector
    from rtmpose.detect.letterbox import letterbox
    from rtmpose.pose.crop import crop_people
    from rtmpose.sources import read_image

    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png", ".bmp", ".webp"))
    if not files:
        raise InputError(f"{folder} holds no photographs to calibrate on")
    step = max(1, len(files) // limit)
    detector = None if card.is_detector else Detector()
    parts: list[NDArray[np.uint8]] = []
    for file in files[::step] if card.is_detector else files:
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
                parts.append(crop_people(image, found.boxes, card.input_wh, udp=card.codec.kind == "heatmap")[0])
        if sum(map(len, parts)) >= limit:
            break
    if not parts:
        raise InputError(f"nobody was found in the photographs of {folder}: nothing to calibrate on")
    return np.concatenate(parts)[:limit]


def quantise_openvino(
    onnx_file: Path, card: ModelCard, images: NDArray[np.uint8], *, progress: Callable[[str], None] = log.info
) -> tuple[Any, dict[str, Any]]:
    """An ``openvino.Model`` with 8-bit convolutions.

    Args:
        onnx_file: The float network, normalised pixels in.
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
        raise MissingDependencyError("int8 for OpenVINO needs nncf: pip install 'rtmpose[export]'") from error
    from rtmpose.backends import openvino, prepare
    from rtmpose.backends.onnxruntime import normalisation_tables
    from rtmpose.export.verify import agreement, run_on

    judges = images[::4] if len(images) >= 8 else images
    learners = np.delete(images, np.s_[::4], axis=0) if len(images) >= 8 else images
    options = BackendOptions("openvino", "cpu", precision="fp32")
    exact = run_on(openvino.OpenVinoBackend(onnx_file, card.normalisation, options), judges)
    medians = prepare.measure_medians(openvino.read_network(onnx_file), card, learners[:64])

    def centred() -> Any:
        network = openvino.read_network(onnx_file)
        prepare.subtract_medians(network, medians)
        return network

    tables = normalisation_tables(card.normalisation)
    order = (2, 1, 0) if card.normalisation.colour == "rgb" else (0, 1, 2)

    def normalised(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.stack([table[image[..., c]] for c, table in zip(order, tables, strict=True)])[None]

    convolutions = [n.get_friendly_name() for n in centred().get_ordered_ops() if "Convolution" in n.get_type_name()]
    others = [n.get_friendly_name() for n in centred().get_ordered_ops() if n.get_type_name() in _FLOAT_OPERATIONS]

    def quantised(floats: list[str]) -> Any:
        with _quiet_nncf():
            return nncf.quantize(
                centred(),
                nncf.Dataset(list(learners), normalised),
                preset=nncf.QuantizationPreset.MIXED,
                subset_size=len(learners),
                fast_bias_correction=True,
                ignored_scope=nncf.IgnoredScope(names=floats + others, validate=False),
            )

    def judge(network: Any) -> float:
        backend = openvino.OpenVinoBackend(onnx_file, card.normalisation, options, network)
        return agreement(card, exact, run_on(backend, judges))

    progress(f"measuring the damage of {len(convolutions)} layers ...")
    damage = _layer_damage(quantised([]), convolutions, judge)
    ranking = sorted(convolutions, key=lambda name: -damage.get(name, 0.0))
    best: tuple[float, int, Any] = (-1.0, 0, None)
    tried = {}
    for count in FLOAT_STEPS:
        if count > len(ranking) // 2:
            break
        network = quantised(ranking[:count])
        value = judge(network.clone())
        tried[count] = round(value, 4)
        progress(f"{count} layers in float: agreement {value:.4f}")
        if value > best[0] + 0.002:
            best = (value, count, network)
    record = {
        "calibrated_on": len(learners),
        "judged_on": len(judges),
        "agreement": tried,
        "float_layers": ranking[: best[1]],
        "convolutions": len(convolutions),
    }
    return best[2], record


_FLOAT_OPERATIONS = ("MatMul", "ReduceL2", "ReduceSum", "Power", "Sqrt", "Divide")
"""The gated attention is a hundredth of the work and half of the damage."""


def _layer_damage(network: Any, names: list[str], judge: Callable[[Any], float]) -> dict[str, float]:
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
                # Weights may pass a reshape between quantiser and layer.
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


def quantise_onnx(
    onnx_file: Path, card: ModelCard, images: NDArray[np.uint8], out: Path, floats: int = 0
) -> dict[str, Any]:
    """Write an ONNX file with QuantizeLinear / DequantizeLinear pairs around its convolutions, for ONNX Runtime.

    Args:
        onnx_file: The float network, normalised pixels in.
        card: Its description.
        images: Calibration crops or frames.
        out: The file.
        floats: How many of the first convolutions stay in float, beside the attention and the last layer.

    Returns:
        A record of what was done.
    """
    import onnx
    from onnxruntime import quantization

    from rtmpose.backends.onnxruntime import normalisation_tables
    from rtmpose.export.onnx import embed_card

    model = onnx.load(str(onnx_file))
    tables = normalisation_tables(card.normalisation)
    order = (2, 1, 0) if card.normalisation.colour == "rgb" else (0, 1, 2)
    name = model.graph.input[0].name

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._rows: Iterator[Any] = iter(images)

        def get_next(self) -> dict[str, Any] | None:
            image = next(self._rows, None)
            if image is None:
                return None
            planes = [table[image[..., c]] for c, table in zip(order, tables, strict=True)]
            return {name: np.stack(planes)[None]}

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
            extra_options={"ActivationSymmetric": False, "WeightSymmetric": True},
        )
    written = onnx.load(str(out))
    embed_card(written, card)
    onnx.save(written, str(out))
    return {"calibrated_on": len(images), "convolutions": len(convolutions), "float_layers": convolutions[:floats]}


@contextlib.contextmanager
def _quiet_nncf() -> Iterator[None]:
    """NNCF talks a lot, partly through its own progress bars."""
    from rtmpose.export.engines import _silent

    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with _silent():
            yield
    finally:
        logging.disable(before)
