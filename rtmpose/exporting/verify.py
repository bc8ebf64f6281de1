"""Is the exported file still the same model? Compared on real crops (or frames) with what it was
made from.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
from numpy.typing import NDArray

from rtmpose.backends import Backend
from rtmpose.backends.agreement import box_agreement
from rtmpose.backends.sample_images import bundled_crops, bundled_frames
from rtmpose.model_card import ModelCard, Output
from rtmpose.ops.boxes import box_iou
from rtmpose.ops.decoders import decode_boxes, decode_keypoints
from rtmpose.types import FloatArray

CONFIDENT = 0.3


@dataclass(frozen=True)
class Tolerance:
    """What an export may differ by.

    Attributes:
        logits: Largest difference of an output value, relative to the largest value there is.
        equal: Least share of confident keypoints in the same bin (pose), or of images with the same
            class.
        displacement: Mean movement of the confident keypoints in crop pixels.
        overlap: Mean loss of overlap of the confident boxes (detectors, instead of the two before).
    """

    logits: float
    equal: float
    displacement: float
    overlap: float


TOLERANCES: Mapping[str, Tolerance] = {
    "fp32": Tolerance(1e-3, 0.99, 0.02, 1e-3),
    "fp16": Tolerance(0.05, 0.70, 0.30, 0.01),
    "bf16": Tolerance(0.50, 0.30, 1.50, 0.03),
    "int8": Tolerance(1.00, 0.15, 2.00, 0.06),
}
"""By precision; one table for every engine. The widest are meant to catch a broken file, not to
bless a bad one: AP before and after is the judge (``--data``)."""


@dataclass(frozen=True)
class Verification:
    """How an exported file compares.

    Attributes:
        file: Its name.
        engine: What ran it.
        precision: What it computes in.
        inputs: Number of crops or frames.
        logits: See :class:`Tolerance`; None where the file decodes itself.
        equal: See :class:`Tolerance`; for detectors the share of confident boxes that overlap above
            0.99.
        displacement: See :class:`Tolerance`; for detectors the mean loss of overlap.
        passed: All within :data:`TOLERANCES`; None where nothing here could run it.
        accuracy: AP of the source and of the export, where a data set was given.
        note: What could not be checked and why.
    """

    file: str
    engine: str
    precision: str
    inputs: int = 0
    logits: float | None = None
    equal: float | None = None
    displacement: float | None = None
    passed: bool | None = None
    accuracy: Mapping[str, float] = field(default_factory=dict)
    note: str = ""

    def to_json(self) -> str:
        """For the file next to the model."""
        return json.dumps(asdict(self), indent=2) + "\n"


Runs = list[tuple[NDArray[np.generic], ...]]


def run_on(backend: Backend, images: NDArray[np.uint8]) -> Runs:
    """Outputs for each image by itself; a fixed batch is filled up with copies."""
    count = backend.input.shape[0] or 1
    return [
        tuple(o[:1] for o in backend(np.repeat(image[None], count, axis=0))) for image in images
    ]


def sample_images(card: ModelCard) -> NDArray[np.uint8]:
    """Crops or frames of the package's photographs to compare on."""
    return bundled_crops(card) if card.is_pose else bundled_frames(card)


def compare(
    card: ModelCard,
    reference: Runs,
    backend: Backend,
    images: NDArray[np.uint8],
    name: str,
    precision: str,
) -> Verification:
    """Compare a backend with the outputs of the network it was made from.

    Args:
        card: Of the model.
        reference: :func:`run_on` of the source on the same images.
        backend: The export.
        images: BGR uint8 ``(N, H, W, 3)``.
        name: File name for the report.
        precision: Chooses the tolerance.
    """
    runs = run_on(backend, images)
    logits = _largest_difference(reference, runs)
    equal, displacement = DIFFERENCES[card.output](card, reference, runs)
    limits = TOLERANCES[precision]
    if DIFFERENCES[card.output] is _box_difference:
        passed = displacement <= limits.overlap
    else:
        passed = equal >= limits.equal and displacement <= limits.displacement
    passed = passed and (logits is None or logits <= limits.logits)
    return Verification(
        name, backend.engine, precision, len(images), logits, equal, displacement, bool(passed)
    )


def _largest_difference(reference: Runs, runs: Runs) -> float | None:
    """Relative to the largest value of that output; None where the outputs have another form.

    So it is of detectors with NMS inside, whose outputs are as long as there are boxes.
    """
    first = [o.shape for o in reference[0]]
    if any([o.shape for o in outputs] != first for outputs in (*reference, *runs)):
        return None
    worst = 0.0
    for ours, theirs in zip(zip(*reference, strict=True), zip(*runs, strict=True), strict=True):
        a, b = np.concatenate(ours).astype(np.float64), np.concatenate(theirs).astype(np.float64)
        worst = max(worst, float(np.abs(a - b).max() / max(np.abs(a).max(), 1e-12)))
    return worst


def decode_pose(card: ModelCard, runs: Runs) -> tuple[FloatArray, FloatArray]:
    """Keypoints ``(N, K, 2)`` in crop pixels and scores ``(N, K)`` from either form of output."""
    outputs = [np.concatenate(column).astype(np.float32) for column in zip(*runs, strict=True)]
    return decode_keypoints(outputs, card)


def _pose_difference(card: ModelCard, reference: Runs, runs: Runs) -> tuple[float, float]:
    (ours, scores), (theirs, _) = decode_pose(card, reference), decode_pose(card, runs)
    confident = scores > CONFIDENT
    if not confident.any():  # random weights: compare everything
        confident = np.ones_like(confident)
    distance = np.linalg.norm((ours - theirs)[confident], axis=1)
    return float((distance < 0.01).mean()), float(distance.mean())


def _box_difference(card: ModelCard, reference: Runs, runs: Runs) -> tuple[float, float]:
    overlaps: list[float] = []
    for ours, theirs in zip(reference, runs, strict=True):
        a, b = (decode_boxes(o, card, 0.05) for o in (ours, theirs))
        a = a[a.scores > CONFIDENT]
        overlaps += (
            list(box_iou(a.boxes, b.boxes).max(axis=1)) if len(a) and len(b) else [0.0] * len(a)
        )
    if not overlaps:
        return 1.0, 0.0
    values = np.array(overlaps)
    return float((values > 0.99).mean()), float((1 - values).mean())


def _class_difference(card: ModelCard, reference: Runs, runs: Runs) -> tuple[float, float]:
    ours = np.array([int(outputs[0].argmax()) for outputs in reference])
    theirs = np.array([int(outputs[0].argmax()) for outputs in runs])
    return float(np.mean(ours == theirs)), 0.0


Difference = Callable[[ModelCard, Runs, Runs], tuple[float, float]]
DIFFERENCES: Mapping[Output, Difference] = {
    "keypoints": _pose_difference,
    "boxes": _box_difference,
    "people": _box_difference,
    "classes": _class_difference,
}
"""How outputs are compared: share that is equal, and displacement; see :class:`Tolerance`."""


def agreement(card: ModelCard, reference: Runs, runs: Runs) -> float:
    """One number, 0..1, to rank candidates by: closeness of confident keypoints, or overlap of
    confident boxes.
    """
    if DIFFERENCES[card.output] is _box_difference:
        return box_agreement(card, reference, runs)
    (ours, scores), (theirs, _) = decode_pose(card, reference), decode_pose(card, runs)
    confident = scores > CONFIDENT
    distance = ((ours - theirs)[confident] ** 2).sum(axis=1)
    return float(np.exp(-distance / 32).mean()) if confident.any() else 0.0


def report_lines(report: Verification) -> Sequence[tuple[str, str]]:
    """Rows for a table on screen."""
    rows = [("file", report.file), ("engine, precision", f"{report.engine}, {report.precision}")]
    if report.inputs:
        rows.append(("compared on", f"{report.inputs} images"))
    if report.logits is not None:
        rows.append(("largest output difference", f"{report.logits:.2g} of the largest value"))
    if report.equal is not None:
        rows.append(("same place", f"{100 * report.equal:.1f} %"))
    if report.displacement is not None:
        rows.append(("mean displacement", f"{report.displacement:.4f}"))
    rows += [(name, f"{100 * value:.2f}") for name, value in report.accuracy.items()]
    verdict = {True: "passed", False: "FAILED", None: "unverified"}[report.passed]
    rows.append(("verdict", verdict + (f" ({report.note})" if report.note else "")))
    return rows
