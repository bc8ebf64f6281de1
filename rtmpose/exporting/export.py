"""One call from a model to a verified file for an engine."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from rtmpose import backend_table as table
from rtmpose.errors import InputError, ModelError
from rtmpose.exporting import sdk
from rtmpose.exporting.coreml import write_coreml
from rtmpose.exporting.equalize import equalize
from rtmpose.exporting.int8_source import int8_source
from rtmpose.exporting.ncnn import write_ncnn
from rtmpose.exporting.onnx import OnnxOptions, to_half, write_onnx
from rtmpose.exporting.openvino import save_openvino, write_openvino
from rtmpose.exporting.options import ExportOptions, Target
from rtmpose.exporting.pipeline import write_pipeline
from rtmpose.exporting.quantize import QuantizationRecord, calibration_images
from rtmpose.exporting.quantize_onnx import quantize_onnx
from rtmpose.exporting.source import ExportSource, open_source
from rtmpose.exporting.triton import write_triton
from rtmpose.exporting.verify import Verification
from rtmpose.exporting.verify_export import (
    Exported,
    load_dataset,
    measure_accuracy,
    verify_export,
)
from rtmpose.files import copy_file, write_text
from rtmpose.files.folders import copy_folder
from rtmpose.model_card import ModelCard
from rtmpose.skeletons import skeleton_of
from rtmpose.types import Skeleton

log = logging.getLogger(__name__)

EQUALIZE_IMAGES = 64
"""Calibration images that the equalization looks at."""


@dataclass(frozen=True)
class _Job:
    """What a converter gets.

    Attributes:
        model: What the user named.
        source: What to export.
        options: How.
        work: Folder for the result.
        progress: Told of each step.
    """

    model: str | Path | ModelCard
    source: ExportSource
    options: ExportOptions
    work: Path
    progress: Callable[[str], None]

    @property
    def half(self) -> bool:
        """Whether the result is in float16."""
        return self.options.chosen_precision == "fp16"

    @property
    def stem(self) -> str:
        """Name of the result without what the target adds."""
        return self.source.card.id.replace("/", "_")

    def path(self, suffix: str) -> Path:
        """Name of the result, with its precision where that is not fp32."""
        precision = self.options.chosen_precision
        marked = self.stem if precision == "fp32" else f"{self.stem}_{precision}"
        return self.work / f"{marked}{suffix}"


def export(
    model: str | Path | ModelCard,
    out: Path,
    options: ExportOptions,
    *,
    card: ModelCard | None = None,
    skeleton: Skeleton | None = None,
    progress: Callable[[str], None] = log.info,
) -> tuple[Path, Verification]:
    """Write a model for an engine, and verify that it is still the same model.

    Args:
        model: Name from the zoo, its card, or the path of a ``.pth``, ``.safetensors`` or ``.onnx``
            file.
        out: Folder for the result; created if it is missing.
        options: Target and settings.
        card: Describes a file without a card inside.
        skeleton: Keypoint set to put into the file's card instead of the model's, with as many
            points.
        progress: Told of each step.

    Returns:
        The file or folder written, and how it compares; the report lies next to it as
        ``NAME.verify.json``.

    Raises:
        InputError: options that do not fit the model.
        ModelError: the model is not available or cannot be converted; or the result is not the same
            model any more (nothing is written then, unless ``force``).
        OutputError: the folder cannot be written.
        MissingDependencyError: the engine's converter is not installed.
    """
    source = open_source(model, card, options.input_wh)
    if skeleton is not None:
        source = _with_skeleton(source, skeleton)
    name = source.card.id
    # Data that cannot be read is reported before the work rather than after.
    data = None if options.to in ("pipeline", "triton") else options.data
    dataset = None if data is None else load_dataset(source, data)
    with tempfile.TemporaryDirectory(prefix="rtmpose-export-") as folder:
        work = Path(folder)
        progress(f"converting {name} to {options.to}, {options.chosen_precision} ...")
        exported = _CONVERTERS[options.to](_Job(model, source, options, work, progress))

        # The result is compared in the work folder: nothing is written unless it passes.
        progress("comparing it with the original ...")
        report = verify_export(source, exported, options)
        if dataset is not None and report.passed is not None:
            progress("measuring AP before and after ...")
            accuracy = measure_accuracy(source, exported.path, work, dataset)
            report = replace(report, accuracy=accuracy)
        if report.passed is False and not options.force:
            raise _not_the_same(report, name)

        # The file first, its report last.
        place = _copy(exported.path, out)
    write_text(place.with_name(f"{place.name}.verify.json"), report.to_json())
    return place, report


def _with_skeleton(source: ExportSource, skeleton: Skeleton) -> ExportSource:
    """The source with another keypoint set."""
    if source.card.output not in ("keypoints", "people"):
        raise InputError(f"{source.card.id} finds no keypoints: leave out the keypoint set")
    known = skeleton_of(source.card)
    if known is not None and len(known) != len(skeleton):
        raise InputError(
            f"{source.card.id} has {len(known)} keypoints, but {skeleton.name} has {len(skeleton)}"
        )
    card = replace(source.card, skeleton=skeleton.name, own_skeleton=skeleton, calibration=None)
    return replace(source, card=card)


def _not_the_same(report: Verification, name: str) -> ModelError:
    def text(value: float | None) -> str:
        # None where it was not measured.
        return "?" if value is None else f"{value:.3g}"

    return ModelError(
        f"{report.file} is not the same model as {name} any more: outputs differ by"
        f" {text(report.max_difference)} of the largest value, {text(report.same_fraction)} of the"
        " keypoints or boxes are in the same place, mean displacement"
        f" {text(report.displacement)}. Nothing was written; --force keeps it"
    )


def _to_onnx(job: _Job) -> Exported:
    # int8 and fp16 start from the float32 file.
    if job.options.chosen_precision == "int8":
        write = partial(_plain_onnx, job.source, job.work)
        file, ranges = int8_source(job.model, job.source, job.options, write, job.progress)
        path = job.path(".onnx")
        count = quantize_onnx(file, job.source.card, ranges, path)
        return Exported(path, f"{count} convolutions in 8 bits")
    plain = _plain_onnx(job.source, job.work, job.options)
    path = job.path(".onnx")
    if job.half:
        to_half(plain, path, job.source.card)
    else:
        shutil.copyfile(plain, path)
    return Exported(path)


def _to_openvino(job: _Job) -> Exported:
    # NNCF quantizes the equalized float file.
    path = job.path(".xml")
    if job.options.chosen_precision == "int8":
        from rtmpose.exporting.quantize_openvino import quantize_openvino

        file, images = _equalized(job)
        network, record = quantize_openvino(file, job.source.card, images, progress=job.progress)
        save_openvino(network, job.source.card, path)
        return _quantized(path, record)
    plain = _plain_onnx(job.source, job.work, job.options)
    write_openvino(plain, job.source.card, path, half=job.half)
    return Exported(path)


def _to_ncnn(job: _Job) -> Exported:
    # The names of these files say nothing of their precision: it is fp16 unless asked otherwise.
    path = job.work / f"{job.stem}.ncnn.param"
    write_ncnn(job.source.torch_network("ncnn"), job.source.card, path, half=job.half)
    return Exported(path)


def _to_coreml(job: _Job) -> Exported:
    path = job.work / f"{job.stem}.mlpackage"
    write_coreml(job.source.torch_network("coreml"), job.source.card, path, half=job.half)
    return Exported(path)


def _to_tensorrt(job: _Job) -> Exported:
    # The engine is built from the ONNX file where the GPU is, in either precision.
    path = job.path(".onnx")
    shutil.copyfile(_plain_onnx(job.source, job.work, job.options), path)
    return Exported(path)


def _to_sdk(job: _Job) -> Exported:
    card = job.source.card
    plain = _plain_onnx(job.source, job.work, job.options)
    model = onnx.load(str(plain), load_external_data=False)
    folder = sdk.write_sdk(
        card,
        plain,
        job.work / f"{job.stem}_sdk",
        input_name=model.graph.input[0].name,
        batched=card.is_pose,
    )
    return Exported(folder)


def _to_pipeline(job: _Job) -> Exported:
    if job.source.card.output == "people":
        raise ModelError(
            f"{job.source.card.id} is a one-stage model: its file finds people and keypoints in one"
            " graph already; use --to onnx"
        )
    # Both networks as ONNX files, with the suppression inside the detector.
    detector = open_source(job.options.detector, job.options.detector_card)
    card = job.source.card
    pose_file = _plain_onnx(job.source, job.work, job.options)
    detector_file = _plain_onnx(detector, job.work, ExportOptions("pipeline"), "detector.onnx")
    path = job.work / f"{detector.card.id}+{job.stem}.onnx"
    score_thr = job.options.score_thr
    write_pipeline(detector_file, detector.card, pose_file, card, path, score_thr=score_thr)
    return Exported(path)


def _to_triton(job: _Job) -> Exported:
    graph = _to_pipeline(job)
    return Exported(write_triton(graph.path, job.work / f"{job.stem}_triton" / job.stem))


_CONVERTERS: Mapping[Target, Callable[[_Job], Exported]] = {
    "onnx": _to_onnx,
    "openvino": _to_openvino,
    "ncnn": _to_ncnn,
    "tensorrt": _to_tensorrt,
    "coreml": _to_coreml,
    "sdk": _to_sdk,
    "pipeline": _to_pipeline,
    "triton": _to_triton,
}


def _plain_onnx(
    source: ExportSource, work: Path, options: ExportOptions, name: str = "plain.onnx"
) -> Path:
    """The ONNX file in float32 that other formats are made from."""
    # Other families have a published ONNX file, which cannot be changed here.
    if source.network is None:
        if options.normalize or options.decode or options.batch not in (None, 1) or options.opset:
            raise InputError(
                f"{source.card.id} is taken from its ONNX file as it is: no --normalize, --decode,"
                " --opset or --batch"
            )
        return source.onnx_file()
    # What is only for ONNX files is left out for targets that are made from one.
    extras = options.to == "onnx"
    onnx_options = OnnxOptions(
        batch=1 if options.to == "sdk" and source.card.is_detector else options.batch,
        normalize=extras and options.normalize,
        decode=extras and options.decode,
        nms=options.nms,
        half_weights=extras and options.half_weights,
        opset=options.opset,
    )
    path = work / name
    write_onnx(source.network, source.card, path, onnx_options)
    return path


def _equalized(job: _Job) -> tuple[Path, NDArray[np.uint8]]:
    """The equalized network in float32 as an ONNX file, and the images to calibrate on."""
    # The equalized network computes the same in float; only its ranges differ.
    card = job.source.card
    network = job.source.torch_network("int8")
    images = calibration_images(card, job.options.calibrate)
    job.progress(f"calibrating on {len(images)} {'crops' if card.is_pose else 'frames'} ...")
    equalized = ExportSource(card, equalize(network, card, images[:EQUALIZE_IMAGES]))
    options = replace(job.options, precision=None)
    return _plain_onnx(equalized, job.work, options, "equalized.onnx"), images


def _quantized(path: Path, record: QuantizationRecord) -> Exported:
    floats = len(record.float_layers)
    return Exported(path, f"{floats} of {record.convolutions} layers kept in float")


def _copy(exported: Path, out: Path) -> Path:
    """Copy the result, and the files that belong to it, into the output folder."""
    # Folders (Core ML, SDK) as a whole.
    place = out / exported.name
    if exported.is_dir():
        copy_folder(exported, place)
        return place
    # Some engines keep weights, and ncnn its card, in files next to the model file.
    parts = [exported]
    weights_suffix = table.row_to_check(exported).weights_suffix
    if weights_suffix:
        parts.append(exported.with_suffix(weights_suffix))
    card = exported.with_name(f"{exported.name}.card.json")
    if card.exists():
        parts.append(card)
    for part in reversed(parts):  # the file that is asked for comes last
        copy_file(part, out / part.name)
    return place
