"""Verifying what an export wrote: which engine runs it, and what it is compared with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rtmpose import backend_table as table
from rtmpose.backends import Backend, BackendOptions, open_backend
from rtmpose.backends.sample_images import bundled_photos
from rtmpose.datasets import KeypointDataset
from rtmpose.errors import InputError, ModelError
from rtmpose.exporting import sdk, triton
from rtmpose.exporting.onnx import write_onnx
from rtmpose.exporting.options import ExportOptions
from rtmpose.exporting.quantize import calibration_images, is_about_people
from rtmpose.exporting.source import ExportSource, open_source
from rtmpose.exporting.tensorrt import build_tensorrt
from rtmpose.exporting.verify import Verification, compare, run_on, sample_images
from rtmpose.model_card import ModelCard
from rtmpose.zoo import resolve

OWN_IMAGES = 64
"""Images of the user's own that an export is compared on."""


@dataclass(frozen=True)
class Exported:
    """What an export wrote into its work folder.

    Attributes:
        path: The file or folder.
        note: For the report.
    """

    path: Path
    note: str = ""


def verify_export(source: ExportSource, exported: Exported, options: ExportOptions) -> Verification:
    """Compare what was written with its source, on the engine it is meant for where that is here.

    Args:
        source: What was exported.
        exported: What was written.
        options: How.
    """
    # What cannot be run here, or returns neither the original's outputs nor its inputs.
    path = exported.path
    precision = options.chosen_precision
    if options.to == "coreml":
        note = "Core ML runs on a Mac only; converted, not run"
        return Verification(path.name, "coreml", precision, note=note)
    if options.to == "pipeline":
        return _verify_pipeline(path, precision)
    if options.to == "triton":
        return replace(_verify_pipeline(path / triton.NETWORK, precision), file=path.name)

    # A TensorRT engine is compared where it can be built; its ONNX file is compared anyway.
    # Rounded networks are compared on images of what they are for.
    images = sample_images(source.card)
    if options.calibrate is not None and not is_about_people(source.card):
        images = calibration_images(source.card, options.calibrate, OWN_IMAGES)
    reference = run_on(source.reference(), images)
    if options.to == "tensorrt":
        engine = build_tensorrt(path, source.card, half=precision == "fp16")
        if engine is not None:
            return compare(source.card, reference, engine, images, path.name, precision)
        backend = _open(path, source.card, options)
        report = compare(source.card, reference, backend, images, path.name, "fp32")
        note = (
            "no TensorRT or GPU here: the ONNX file is right, the engine itself was not built or"
            " run"
        )
        return replace(
            report,
            engine="onnxruntime (for tensorrt)",
            passed=None,
            note=note,
        )

    # All other targets run on the CPU; half-precision weights have the tolerance of fp16.
    network = path / sdk.NETWORK if options.to == "sdk" else path
    backend = _open(network, source.card, options)
    stored = "fp16" if options.half_weights else precision
    report = compare(source.card, reference, backend, images, path.name, stored)
    return replace(report, precision=precision, note=exported.note)


def verify_file(
    model: str | Path, exported: Path, *, card: ModelCard | None = None
) -> Verification:
    """Compare an exported file with the model it was made from.

    Args:
        model: The original.
        exported: An ``.onnx``, ``.xml`` or ``.param`` file.
        card: As in :func:`rtmpose.exporting.export.export`.

    Raises:
        ModelError: either cannot be opened, or they differ in their inputs or outputs.
    """
    # The original, and the file on the engine that its suffix names.
    source = open_source(model, card)
    path, known = resolve(exported)
    row = table.row_to_check(path)
    options = BackendOptions(row.name, "cpu", precision=row.native_precision)
    backend = open_backend(path, known or source.card, options)
    _check_input(source.card, backend, exported)
    images = sample_images(source.card)

    # A float16 file that an engine computes in float32 still has float16 weights.
    precision = backend.precision
    if precision == "fp32" and "fp16" in exported.stem:
        precision = "fp16"
    reference = run_on(source.reference(), images)
    return compare(source.card, reference, backend, images, exported.name, precision)


def load_dataset(source: ExportSource, data: Path) -> KeypointDataset:
    """The data set to measure AP on.

    Raises:
        InputError: it cannot be read, or the source is not a pose network of this family.
    """
    # AP needs keypoints, and a second export to compare with.
    if not source.card.is_pose:
        raise InputError("--data measures pose models; detectors are judged by their boxes only")
    if source.network is None:
        raise InputError("--data needs a network of this family")
    return KeypointDataset.load(data)


def measure_accuracy(
    source: ExportSource, exported: Path, work: Path, dataset: KeypointDataset
) -> dict[str, float]:
    """AP with annotated boxes of the source and of the export, 0..1.

    Args:
        source: What was exported.
        exported: The file.
        work: Folder for a float32 export to compare with.
        dataset: From :func:`load_dataset`.
    """
    from rtmpose.evaluation import evaluate
    from rtmpose.pose_estimator import PoseEstimator

    # The source as a float32 file, run by an engine: torch would take far longer.
    before = work / "before.onnx"
    write_onnx(source.torch_network("--data"), source.card, before)
    result = {}

    # Each in the precision that its format has by itself.
    for name, path, backend in (
        ("AP before", before, "onnxruntime"),
        ("AP after", exported, "auto"),
    ):
        options = BackendOptions(backend, precision=table.row_to_check(path).native_precision)
        estimator = PoseEstimator(path, options=options, card=source.card)
        result[name] = evaluate(dataset, estimator).metrics["AP"]
    return result


def _check_input(card: ModelCard, backend: Backend, path: Path) -> None:
    """Refuse a file of another input size, before the engine does in its own words."""
    sides = backend.input.shape[2:]  # height, width; None for any
    wanted = card.input_wh[::-1]
    if any(side not in (None, ours) for side, ours in zip(sides, wanted, strict=True)):
        raise ModelError(
            f"{path} is not an export of {card.id}: its input is {sides[0]}x{sides[1]}, not"
            f" {wanted[0]}x{wanted[1]} (height x width)"
        )


def _open(path: Path, card: ModelCard, options: ExportOptions) -> Backend:
    row = table.row_for_export(options.to)  # the engine that the target is meant for
    return open_backend(path, card, BackendOptions(row.name, "cpu", precision=row.native_precision))


def _verify_pipeline(path: Path, precision: str) -> Verification:
    """Whether the graph runs, finds people in photos and none in an empty image.

    That it equals the Python pipeline of the same networks is a test of both.
    """
    import onnxruntime

    # Photos with people in them, and one pixel without.
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    photos = bundled_photos()
    people = 0
    for image in [*photos, np.zeros((1, 1, 3), np.uint8)]:
        feed = {"image": image, "boxes_in": np.zeros((0, 4), np.float32), "detect": np.array(True)}
        boxes, keypoints, scores = session.run(["boxes", "keypoints", "scores"], feed)
        same_length = len(boxes) == len(keypoints) == len(scores)
        if not same_length or not np.isfinite(keypoints).all():
            return Verification(
                path.name,
                "onnxruntime",
                precision,
                len(photos),
                passed=False,
                note="broken outputs",
            )
        people += len(boxes)
    note = f"{people} people found in {len(photos)} photos, none in an empty image"
    return Verification(
        path.name, "onnxruntime", precision, len(photos), passed=people > 0, note=note
    )
