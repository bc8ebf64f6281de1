"""One call from a model to a verified file for an engine."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from torch import nn

from rtmpose import backend_table as table
from rtmpose.backends import Backend, BackendOptions, open_backend
from rtmpose.backends.onnxruntime import OnnxRuntimeBackend
from rtmpose.backends.torch import TorchBackend
from rtmpose.errors import InputError, ModelError
from rtmpose.exporting import engines, pipeline, quantize, sdk
from rtmpose.exporting.equalize import equalize
from rtmpose.exporting.onnx import OnnxOptions, to_half, write_onnx
from rtmpose.exporting.verify import Verification, compare, run_on, sample_images
from rtmpose.files import copy_file, copy_folder, write_text
from rtmpose.model_card import ModelCard
from rtmpose.networks.load import load_network, resized
from rtmpose.zoo import find, model_kind, resolve

log = logging.getLogger(__name__)

Target = Literal["onnx", "openvino", "ncnn", "tensorrt", "coreml", "sdk", "pipeline"]
TARGETS: tuple[Target, ...] = ("onnx", "openvino", "ncnn", "tensorrt", "coreml", "sdk", "pipeline")
PRECISIONS = ("fp32", "fp16", "int8")


@dataclass(frozen=True)
class ExportOptions:
    """What to make.

    Attributes:
        to: The target.
        precision: ``fp32``, ``fp16`` or ``int8``; None for the target's usual one (fp16 for ncnn
            and Core ML).
        batch: Fixed number of images, or None for any number (1 where the target knows nothing
            else).
        input_wh: Another input size; detectors, heat maps and classifiers only.
        normalize: For ``onnx``: BGR uint8 images go in.
        decode: For ``onnx``: keypoints and scores come out.
        nms: For detectors: suppression inside.
        half_weights: For ``onnx`` in fp32: a file of half the size, whose weights are stored as
            float16.
        detector: For ``pipeline``: the detector to join.
        score_thr: For ``pipeline``: lowest box score.
        calibrate: For ``int8``: folder of photographs; without it the package's own few.
        data: A COCO keypoint set: AP before and after goes into the report.
        force: Keep a file that fails its verification.
    """

    to: Target
    precision: str | None = None
    batch: int | None = None
    input_wh: tuple[int, int] | None = None
    normalize: bool = False
    decode: bool = False
    nms: bool = True
    half_weights: bool = False
    detector: str = "rtmdet-nano"
    score_thr: float = 0.3
    calibrate: Path | None = None
    data: Path | None = None
    force: bool = False


@dataclass(frozen=True)
class Source:
    """What an export starts from.

    Attributes:
        card: Its description.
        network: As torch; None for a network that is not of this family.
        onnx: Its ONNX file where there is no torch network.
    """

    card: ModelCard
    network: nn.Module | None
    onnx: Path | None = None


def export(
    model: str | Path,
    out: Path,
    options: ExportOptions,
    *,
    card: ModelCard | None = None,
    progress: Callable[[str], None] = log.info,
) -> tuple[Path, Verification]:
    """Write a model for an engine, and prove that it is still the same model.

    Args:
        model: Name from the zoo, or the path of a ``.pth``, ``.safetensors`` or ``.onnx`` file.
        out: Folder for the result; made when missing.
        options: What to make.
        card: Describes a file that does not say itself what it is.
        progress: Told of each step.

    Returns:
        The file or folder written, and how it compares; the report lies beside it as
        ``NAME.verify.json``.

    Raises:
        InputError: options that do not go together.
        ModelError: the model cannot be had or converted; or the result is not the same model any
            more (nothing is written then, unless ``force``).
        OutputError: the folder cannot be written.
        MissingDependencyError: the engine's converter is not installed.
    """
    precision = _check(options)
    source = open_source(model, card, options.input_wh)
    stem = source.card.id.replace("/", "_")
    with tempfile.TemporaryDirectory(prefix="rtmpose-export-") as folder:
        work = Path(folder)
        progress(f"converting {source.card.id} to {options.to}, {precision} ...")
        made, record = _make(source, work, stem, options, precision, progress)
        progress("comparing it with the original ...")
        report = _verify(source, made, options, precision, record)
        if options.data is not None and report.passed is not None and options.to != "pipeline":
            progress("measuring AP before and after ...")
            report = replace(report, accuracy=_accuracy(source, made, work, options.data))
        if report.passed is False and not options.force:
            raise ModelError(
                f"{made.name} is not the same model as {source.card.id} any more: outputs differ by"
                f" {_number(report.logits)} of the largest value, {_number(report.equal)} of the"
                " keypoints or boxes are in the same place, mean displacement"
                f" {_number(report.displacement)}. Nothing was written; --force keeps it"
            )
        place = _move(made, out)
    beside = place.with_name(f"{place.name}.verify.json")
    write_text(beside, report.to_json())
    return place, report


def open_source(
    model: str | Path, card: ModelCard | None = None, input_wh: tuple[int, int] | None = None
) -> Source:
    """The torch network of a model, or its ONNX file where the network is not of this family
    (YOLOX).

    Raises:
        ModelError: it cannot be had, or cannot take that input size.
    """
    known = card
    named = model_kind(model) == "name"
    if known is None and named:
        known = find(str(model))
    if known is not None and not known.has_network:
        path, _ = resolve(known if named else model)
        if input_wh is not None:
            raise ModelError(
                f"{known.id} is exported from its ONNX file, whose input size is fixed"
            )
        return Source(known, None, path)
    if known is None:
        path, known = resolve(model)
        if known is not None and not known.has_network:
            return Source(known, None, path)
    network, known = load_network(model, card=card)
    if input_wh is not None:
        known = resized(network, known, input_wh)
    return Source(known, network)


def _check(options: ExportOptions) -> str:
    """The precision; raises where options do not go together."""
    if options.to not in TARGETS:
        raise InputError(f"unknown target {options.to!r}; use {', '.join(TARGETS)}")
    precision = options.precision or ("fp16" if options.to in ("ncnn", "coreml") else "fp32")
    if precision not in PRECISIONS:
        raise InputError(f"unknown precision {precision!r}; use {', '.join(PRECISIONS)}")
    if precision == "int8" and options.to not in ("onnx", "openvino"):
        raise InputError(f"int8 is made for onnx and openvino, not for {options.to}")
    if precision == "int8" and (options.normalize or options.decode):
        raise InputError("int8 takes and returns plain tensors: leave out --normalize and --decode")
    if options.half_weights and (options.to != "onnx" or precision != "fp32"):
        raise InputError(
            "--half-weights is for ONNX files that are computed in fp32: leave out --to and"
            " --precision"
        )
    if options.batch is not None and options.batch < 1:
        raise InputError(f"the batch must be 1 or more, or dynamic, not {options.batch}")
    return precision


def _make(
    source: Source,
    work: Path,
    stem: str,
    options: ExportOptions,
    precision: str,
    progress: Callable[[str], None],
) -> tuple[Path, dict[str, Any]]:
    """Convert into the work folder: the file or folder, and notes for the report."""
    suffix = {"fp32": "", "fp16": "_fp16", "int8": "_int8"}[precision]
    card, half = source.card, precision == "fp16"
    if options.to in ("ncnn", "coreml"):
        if source.network is None:
            raise ModelError(
                f"{card.id} is known here from its ONNX file only; {options.to} needs the torch"
                " network"
            )
        if options.to == "ncnn":
            made = work / f"{stem}.ncnn.param"
            engines.write_ncnn(source.network, card, made, half=half)
        else:
            made = work / f"{stem}.mlpackage"
            engines.write_coreml(source.network, card, made, half=half)
        return made, {}
    plain = _plain_onnx(source, work, options)
    if options.to == "sdk":
        return (
            sdk.write_sdk(
                card,
                plain,
                work / f"{stem}_sdk",
                input_name=_input_name(plain),
                batched=card.is_pose,
            ),
            {},
        )
    if options.to == "pipeline":
        finder = open_source(options.detector)
        detector = _plain_onnx(finder, work, OPTIONS_FOR_PIPELINE, "detector.onnx")
        made = work / f"{finder.card.id}+{stem}.onnx"
        pipeline.write_pipeline(
            detector, finder.card, plain, card, made, score_thr=options.score_thr
        )
        return made, {}
    if precision == "int8":
        images = quantize.calibration_images(card, options.calibrate)
        progress(f"calibrating on {len(images)} {'crops' if card.is_pose else 'frames'} ...")
        if source.network is None:
            raise ModelError(
                f"{card.id} is known here from its ONNX file only; int8 needs the torch network"
            )
        equal = Source(card, equalize(source.network, card, images[:64]))
        plain = _plain_onnx(equal, work, replace(options, precision=None), "equalized.onnx")
        if options.to == "openvino":
            network, record = quantize.quantize_openvino(plain, card, images, progress=progress)
            made = work / f"{stem}{suffix}.xml"
            engines.save_ir(network, card, made)
            return made, record
        made = work / f"{stem}{suffix}.onnx"
        return made, quantize.quantize_onnx(plain, card, images, made)
    if options.to == "openvino":
        made = work / f"{stem}{suffix}.xml"
        engines.write_openvino(plain, card, made, half=half)
        return made, {}
    made = work / f"{stem}{suffix}.onnx"
    if half and options.to == "onnx":
        to_half(plain, made, card)
    else:
        shutil.copyfile(plain, made)
    return made, {}


OPTIONS_FOR_PIPELINE = ExportOptions("pipeline")


def _plain_onnx(
    source: Source, work: Path, options: ExportOptions, name: str = "plain.onnx"
) -> Path:
    """The ONNX file in float32 that other formats are made of."""
    if source.network is None:
        assert source.onnx is not None
        if options.normalize or options.decode or options.batch not in (None, 1):
            raise InputError(
                f"{source.card.id} is taken from its ONNX file as it is: no --normalize, --decode"
                " or --batch"
            )
        return source.onnx
    batch = 1 if options.to == "sdk" and source.card.is_detector else options.batch
    path = work / name
    extras = options.to == "onnx"
    half = extras and options.half_weights
    wanted = OnnxOptions(
        batch, extras and options.normalize, extras and options.decode, options.nms, half
    )
    write_onnx(source.network, source.card, path, wanted)
    return path


def _verify(
    source: Source, made: Path, options: ExportOptions, precision: str, record: dict[str, Any]
) -> Verification:
    card = source.card
    note = (
        f"{len(record['float_layers'])} of {record['convolutions']} layers kept in float"
        if record
        else ""
    )
    if options.to == "coreml":
        return Verification(
            made.name, "coreml", precision, note="Core ML runs on a Mac only; converted, not run"
        )
    if options.to == "pipeline":
        return _verify_pipeline(made, precision)
    images = sample_images(card)
    reference = run_on(_reference(source), images)
    network = made / sdk.NETWORK if options.to == "sdk" else made
    if options.to == "tensorrt":
        checked = compare(
            card, reference, _opened(network, card, options), images, made.name, "fp32"
        )
        if not engines.build_tensorrt(made, card, half=precision == "fp16"):
            text = (
                "no TensorRT or GPU here: the ONNX file is right, the engine itself was not built"
                " or run"
            )
            return replace(checked, engine="onnxruntime (for tensorrt)", passed=None, note=text)
        backend = open_backend(
            made, card, BackendOptions("onnxruntime", "tensorrt", precision=precision)
        )  # type: ignore[arg-type]
        return compare(card, reference, backend, images, made.name, precision)
    stored = "fp16" if options.half_weights else precision
    report = compare(card, reference, _opened(network, card, options), images, made.name, stored)
    return replace(report, precision=precision, note=note)


def _reference(source: Source) -> Backend:
    if source.network is not None:
        return TorchBackend(source.network, source.card, BackendOptions("torch", "cpu"))
    assert source.onnx is not None
    return OnnxRuntimeBackend(source.onnx, source.card, BackendOptions("onnxruntime", "cpu"))


def _opened(path: Path, card: ModelCard, options: ExportOptions) -> Backend:
    row = table.row_for_export(options.to)
    return open_backend(path, card, BackendOptions(row.name, "cpu", precision=row.native_precision))


def _verify_pipeline(made: Path, precision: str) -> Verification:
    """The graph against the Python pipeline of the same networks would be a test of both; here:
    that it runs.
    """
    import onnxruntime

    from rtmpose.backends.sample_images import bundled_photos

    session = onnxruntime.InferenceSession(str(made), providers=["CPUExecutionProvider"])
    people = 0
    photos = bundled_photos()
    for image in [*photos, np.zeros((1, 1, 3), np.uint8)]:
        feed = {"image": image, "boxes_in": np.zeros((0, 4), np.float32), "detect": np.array(True)}
        boxes, keypoints, scores = session.run(["boxes", "keypoints", "scores"], feed)
        if not (len(boxes) == len(keypoints) == len(scores)) or not np.isfinite(keypoints).all():
            return Verification(
                made.name,
                "onnxruntime",
                precision,
                len(photos),
                passed=False,
                note="broken outputs",
            )
        people += len(boxes)
    note = f"{people} people found in {len(photos)} photographs, none in an empty picture"
    return Verification(
        made.name, "onnxruntime", precision, len(photos), passed=people > 0, note=note
    )


def _accuracy(source: Source, made: Path, work: Path, data: Path) -> dict[str, float]:
    """AP with annotated boxes of the source and of the export."""
    from rtmpose.evaluation import KeypointDataset, evaluate
    from rtmpose.pose_estimator import PoseEstimator

    if not source.card.is_pose:
        raise InputError("--data measures pose models; detectors are judged by their boxes only")
    dataset = KeypointDataset.load(data)
    before = work / "before.onnx"
    if source.network is None:
        raise InputError("--data needs a network of this family")
    write_onnx(source.network, source.card, before)
    result = {}
    for name, path, engine in (("AP before", before, "onnxruntime"), ("AP after", made, "auto")):
        options = BackendOptions(engine, precision=table.row_to_check(path).native_precision)
        estimator = PoseEstimator(path, options=options, card=source.card)
        result[name] = evaluate(dataset, estimator).metrics["AP"]
    return result


def verify_file(
    model: str | Path, exported: Path, *, card: ModelCard | None = None
) -> Verification:
    """Compare an exported file with the model it was made of.

    Args:
        model: The original.
        exported: An ``.onnx``, ``.xml`` or ``.param`` file.
        card: As in :func:`export`.

    Raises:
        ModelError: either cannot be opened.
    """
    source = open_source(model, card)
    path, known = resolve(exported)
    row = table.row_to_check(path)
    options = BackendOptions(row.name, "cpu", precision=row.native_precision)
    backend = open_backend(path, known or source.card, options)
    images = sample_images(source.card)
    precision = backend.precision
    if precision == "fp32" and "fp16" in exported.stem:
        precision = "fp16"
    return compare(
        source.card, run_on(_reference(source), images), backend, images, exported.name, precision
    )


def _move(made: Path, out: Path) -> Path:
    """The result and the files that belong to it into the output folder."""
    place = out / made.name
    if made.is_dir():
        copy_folder(made, place)
        return place
    parts = [made]
    weights_suffix = table.row_to_check(made).weights_suffix
    if weights_suffix:
        parts.append(made.with_suffix(weights_suffix))
    parts += [p for p in [made.with_name(f"{made.name}.card.json")] if p.exists()]
    for part in reversed(parts):  # the file that is asked for comes last
        copy_file(part, out / part.name)
    return place


def _input_name(path: Path) -> str:
    import onnx

    return str(onnx.load(str(path), load_external_data=False).graph.input[0].name)


def _number(value: float | None) -> str:
    return "?" if value is None else f"{value:.3g}"
