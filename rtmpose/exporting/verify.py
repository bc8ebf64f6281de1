"""Whether an exported network is still the same model: compared on real crops or frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
from numpy.typing import NDArray

from rtmpose.backends import Backend
from rtmpose.backends.agreement import box_agreement
from rtmpose.backends.base import Outputs
from rtmpose.backends.sample_images import bundled_crops, bundled_frames
from rtmpose.errors import ModelError
from rtmpose.model_card import ModelCard
from rtmpose.ops.boxes import box_iou
from rtmpose.ops.decoders import decode_boxes, decode_keypoints
from rtmpose.text_files import to_json
from rtmpose.types import FloatArray

CONFIDENT = 0.3
"""Keypoints and boxes with a higher score are compared."""
SAME_PLACE_PIXELS = 0.01
"""Keypoints that moved less are in the same place."""
SAME_PLACE_IOU = 0.99
"""Boxes that overlap more are in the same place."""


@dataclass(frozen=True)
class Tolerance:
    """What an export may differ by.

    Attributes:
        max_difference: Largest difference of an output value, relative to the largest value there
            is.
        same_fraction: Least share of confident keypoints in the same bin (pose), or of images with
            the same class.
        displacement: Mean movement of the confident keypoints in crop pixels.
        overlap_loss: Mean loss of overlap of the confident boxes (detectors, in place of the two
            before).
    """

    max_difference: float
    same_fraction: float
    displacement: float
    overlap_loss: float


TOLERANCES: Mapping[str, Tolerance] = {
    "fp32": Tolerance(1e-3, 0.99, 0.02, 1e-3),
    "fp16": Tolerance(0.05, 0.70, 0.30, 0.01),
    "bf16": Tolerance(0.50, 0.30, 1.50, 0.03),
    "int8": Tolerance(1.00, 0.15, 2.00, 0.06),
}
"""By precision; one table for every engine. The widest are meant to catch a broken file, not to
approve a bad one: AP before and after is the judge (``--data``)."""


@dataclass(frozen=True)
class Verification:
    """How an exported file compares.

    Attributes:
        file: Its name.
        engine: What ran it.
        precision: What it computes in.
        inputs: Number of crops or frames.
        max_difference: See :class:`Tolerance`; None where the outputs have another form than the
            original's.
        same_fraction: See :class:`Tolerance`; for detectors the share of confident boxes that
            overlap above 0.99; None for networks that are compared by values alone.
        displacement: See :class:`Tolerance`; for detectors the mean loss of overlap.
        passed: All within :data:`TOLERANCES`; None where nothing here could run it.
        accuracy: AP of the source and of the export, where a data set was given.
        note: What could not be checked and why.
    """

    file: str
    engine: str
    precision: str
    inputs: int = 0
    max_difference: float | None = None
    same_fraction: float | None = None
    displacement: float | None = None
    passed: bool | None = None
    accuracy: Mapping[str, float] = field(default_factory=dict)
    note: str = ""

    def to_json(self) -> str:
        """For the file next to the model."""
        return to_json(asdict(self), indent=2) + "\n"


Runs = list[Outputs]
"""The outputs for one image each."""


def run_on(backend: Backend, images: NDArray[np.uint8]) -> Runs:
    """Outputs for each image by itself; a fixed batch is filled up with copies."""
    count = backend.input.shape[0] or 1  # 0 or None is a batch of any size
    return [
        tuple(o[:1] for o in backend(np.repeat(image[None], count, axis=0))) for image in images
    ]


def sample_images(card: ModelCard) -> NDArray[np.uint8]:
    """Crops or frames of the package's photos to compare on."""
    return bundled_crops(card) if card.is_pose else bundled_frames(card)


def compare(
    card: ModelCard,
    reference: Runs,
    backend: Backend,
    images: NDArray[np.uint8],
    name: str,
    precision: str,
) -> Verification:
    """Compare a backend with the outputs of the network that its file was made from.

    Args:
        card: Of the model.
        reference: :func:`run_on` of the source on the same images.
        backend: The export.
        images: BGR uint8 ``(N, H, W, 3)``.
        name: File name for the report.
        precision: Chooses the tolerance.

    Raises:
        ModelError: the export has other keypoints.
    """
    # The values themselves first.
    runs = run_on(backend, images)
    limits = TOLERANCES[precision]
    max_difference = largest_difference(reference, runs)
    same_fraction: float | None = None
    displacement: float | None = None
    passed = max_difference is None or max_difference <= limits.max_difference

    # What the values mean decides what else is compared.
    if card.is_pose:
        same_fraction, displacement = _pose_difference(card, reference, runs)
        same = same_fraction >= limits.same_fraction
        passed = passed and same and displacement <= limits.displacement
    elif card.output in ("boxes", "people"):
        same_fraction, displacement = box_difference(card, reference, runs)
        passed = passed and displacement <= limits.overlap_loss
    elif card.output == "classes":
        same_fraction = _same_classes(reference, runs)
        displacement = 0.0
        passed = passed and same_fraction >= limits.same_fraction
    else:
        passed = passed and max_difference is not None
    return Verification(
        name,
        backend.engine,
        precision,
        len(images),
        max_difference,
        same_fraction,
        displacement,
        bool(passed),
    )


def largest_difference(reference: Runs, runs: Runs) -> float | None:
    """Relative to the largest value of that output; None where the outputs have another form.

    So it is with detectors with NMS inside, whose outputs are as long as there are boxes.
    """
    # Outputs of another form, such as decoded keypoints, have no values to compare.
    shapes = [o.shape for o in reference[0]]
    if any([o.shape for o in outputs] != shapes for outputs in (*reference, *runs)):
        return None
    # Differences are relative to the range of each output.
    worst = 0.0
    pairs = zip(zip(*reference, strict=True), zip(*runs, strict=True), strict=True)
    for expected, actual in pairs:
        a = np.concatenate(expected).astype(np.float64)
        b = np.concatenate(actual).astype(np.float64)
        worst = max(worst, float(np.abs(a - b).max() / max(np.abs(a).max(), 1e-12)))
    return worst


def decode_pose(card: ModelCard, runs: Runs) -> tuple[FloatArray, FloatArray]:
    """Keypoints ``(N, K, 2)`` in crop pixels and scores ``(N, K)``, from raw or decoded outputs."""
    # A file may decode itself: keypoints then have two columns.
    outputs = [np.concatenate(column).astype(np.float32) for column in zip(*runs, strict=True)]
    return decode_keypoints(outputs, card)


def _pose_difference(card: ModelCard, reference: Runs, runs: Runs) -> tuple[float, float]:
    """Share of confident keypoints in the same place, and their mean movement in crop pixels."""
    # Both decoded, then compared where the original is confident.
    keypoints, scores = decode_pose(card, reference)
    moved, _ = decode_pose(card, runs)
    if moved.shape != keypoints.shape:
        raise ModelError(
            f"it is not an export of {card.id}: {moved.shape[1]} keypoints, not"
            f" {keypoints.shape[1]}"
        )
    confident = scores > CONFIDENT
    if not confident.any():  # random weights: compare everything
        confident = np.ones_like(confident)
    distance = np.linalg.norm((keypoints - moved)[confident], axis=1)
    return float((distance < SAME_PLACE_PIXELS).mean()), float(distance.mean())


def box_difference(card: ModelCard, reference: Runs, runs: Runs) -> tuple[float, float]:
    """Share of confident boxes in the same place, and the mean loss of overlap."""
    overlaps: list[float] = []
    for expected, actual in zip(reference, runs, strict=True):
        boxes = decode_boxes(expected, card, 0.05)
        boxes = boxes[boxes.scores > CONFIDENT]
        others = decode_boxes(actual, card, 0.05)
        # A box is compared with the one it overlaps most; one that is lost counts as no overlap.
        if len(boxes) and len(others):
            overlaps += list(box_iou(boxes.boxes, others.boxes).max(axis=1))
        else:
            overlaps += [0.0] * len(boxes)
    if not overlaps:
        return 1.0, 0.0
    values = np.array(overlaps)
    return float((values > SAME_PLACE_IOU).mean()), float((1 - values).mean())


def _same_classes(reference: Runs, runs: Runs) -> float:
    """Share of images with the same highest-scoring class."""
    same = [int(a[0].argmax()) == int(b[0].argmax()) for a, b in zip(reference, runs, strict=True)]
    return float(np.mean(same))


def agreement(card: ModelCard, reference: Runs, runs: Runs) -> float:
    """One number, 0..1, to rank candidates by: closeness of confident keypoints, or overlap of
    confident boxes.
    """
    # Detectors by the overlap of their boxes.
    if card.output in ("boxes", "people"):
        return box_agreement(card, reference, runs)

    # Poses by the distance of confident keypoints: 1 for none, 0.61 for 4 crop pixels.
    keypoints, scores = decode_pose(card, reference)
    moved, _ = decode_pose(card, runs)
    confident = scores > CONFIDENT
    if not confident.any():
        return 0.0
    squared_distance = ((keypoints - moved)[confident] ** 2).sum(axis=1)
    return float(np.exp(-squared_distance / 32).mean())


def report_lines(report: Verification) -> Sequence[tuple[str, str]]:
    """Rows for a table on screen."""
    # Only what was measured has a row.
    rows = [("file", report.file), ("engine, precision", f"{report.engine}, {report.precision}")]
    if report.inputs:
        rows.append(("compared on", f"{report.inputs} images"))
    if report.max_difference is not None:
        rows.append(
            ("largest output difference", f"{report.max_difference:.2g} of the largest value")
        )
    if report.same_fraction is not None:
        rows.append(("same place", f"{100 * report.same_fraction:.1f} %"))
    if report.displacement is not None:
        rows.append(("mean displacement", f"{report.displacement:.4f}"))
    rows += [(name, f"{100 * value:.2f}") for name, value in report.accuracy.items()]
    # The verdict, with what could not be checked.
    verdict = {True: "passed", False: "FAILED", None: "unverified"}[report.passed]
    rows.append(("verdict", verdict + (f" ({report.note})" if report.note else "")))
    return rows
