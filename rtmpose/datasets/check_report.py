"""Kinds of faults that :func:`rtmpose.datasets.check.check` looks for, and the report of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

EXAMPLES = 5
"""Examples that are kept of each kind."""

Severity = Literal["error", "note"]


@dataclass(frozen=True)
class Issue:
    """One kind of fault.

    Attributes:
        kind: Short name, for programs.
        severity: ``error`` for what breaks or spoils a training, ``note`` for what is worth a look.
        count: How many.
        what: One line for people.
        advice: What to do about it.
        examples: The first few, each naming picture or annotation.
        ids: Annotation ids where the fault is one of annotations, for the contact sheet.
    """

    kind: str
    severity: Severity
    count: int
    what: str
    advice: str
    examples: tuple[str, ...] = ()
    ids: tuple[int, ...] = ()


@dataclass(frozen=True)
class Report:
    """What :func:`check` found.

    Attributes:
        path: The annotation file or folder.
        keypoint_set: Name of the keypoint set; empty where unknown.
        images: Listed pictures.
        annotations: All of them.
        labeled: Instances with keypoints that are not crowd regions.
        points: Labels per keypoint name.
        faults: Errors first.
        left_right: Share of instances whose left and right the rest of the set tells apart; None if
            not looked at.
    """

    path: str
    keypoint_set: str
    images: int
    annotations: int
    labeled: int
    points: Mapping[str, int]
    faults: tuple[Issue, ...]
    left_right: float | None = None

    @property
    def errors(self) -> int:
        """Number of kinds of errors."""
        return sum(f.severity == "error" for f in self.faults)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {**asdict(self), "points": dict(self.points), "errors": self.errors}


@dataclass
class IssueCollector:
    """Collects faults by kind while a set is looked through."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    ids: dict[str, list[int]] = field(default_factory=dict)

    def add(self, kind: str, example: str, annotation: Any = None) -> None:
        """Count a fault; the first few examples and all annotation ids are kept."""
        self.counts[kind] += 1
        kept = self.examples.setdefault(kind, [])
        if len(kept) < EXAMPLES:
            kept.append(example)
        if isinstance(annotation, int):
            self.ids.setdefault(kind, []).append(annotation)

    def rename(self, kind: str, other: str) -> None:
        """Count the faults of one kind as those of another."""
        self.counts[other] += self.counts.pop(kind, 0)
        self.examples[other] = self.examples.pop(kind, [])
        self.ids[other] = self.ids.pop(kind, [])

    def faults(self) -> tuple[Issue, ...]:
        """What was found, errors first."""
        rows = []
        for kind, (severity, what, advice) in KINDS.items():
            if self.counts[kind]:
                examples, ids = tuple(self.examples[kind]), tuple(self.ids.get(kind, ()))
                rows.append(Issue(kind, severity, self.counts[kind], what, advice, examples, ids))
        return tuple(sorted(rows, key=lambda f: f.severity != "error"))


# Kind: severity, what, advice.
KINDS: Mapping[str, tuple[Severity, str, str]] = {
    "broken-image-entry": (
        "error",
        "image entries without id or file_name",
        "complete or remove them",
    ),
    "broken-annotation": ("error", "annotations without id or image_id", "complete or remove them"),
    "duplicate-image-id": ("error", "image ids that occur twice", "number the images anew"),
    "duplicate-annotation-id": (
        "error",
        "annotation ids that occur twice",
        "number the annotations anew",
    ),
    "annotation-of-no-image": (
        "error",
        "annotations of images that are not listed",
        "list the images or remove them",
    ),
    "unknown-category": (
        "error",
        "annotations of categories that are not listed",
        "list the categories",
    ),
    "box-not-numbers": (
        "error",
        "boxes that are not four finite numbers x, y, w, h",
        "correct or remove them",
    ),
    "box-without-area": ("error", "boxes without width or height", "correct or remove them"),
    "box-outside": (
        "error",
        "boxes wholly outside of the picture",
        "check their units: x, y, w, h in pixels",
    ),
    "box-over-edge": (
        "note",
        "boxes that reach past the picture",
        "fine for people cut off by the edge",
    ),
    "wrong-keypoint-count": (
        "error",
        "annotations with another number of keypoints than the set",
        "correct them",
    ),
    "keypoints-not-numbers": (
        "error",
        "annotations with keypoints that are not finite numbers",
        "remove them",
    ),
    "visibility-values": (
        "error",
        "annotations with v other than 0, 1 or 2",
        "0 no label, 1 hidden, 2 visible",
    ),
    "point-outside-picture": (
        "note",
        "instances with labeled points outside of the picture",
        "set their v to 0",
    ),
    "point-far-from-box": (
        "note",
        "instances with points far outside of their box",
        "check box and points",
    ),
    "points-beside-boxes": (
        "error",
        "instances with points far outside of their box",
        "boxes should be x, y, w, h",
    ),
    "num-keypoints": (
        "note",
        "annotations whose num_keypoints is not the number of labeled points",
        "count anew",
    ),
    "without-keypoints": ("note", "instances without a labeled point", "they serve detectors only"),
    "same-box": (
        "note",
        "instances with the same box and points as another of the picture",
        "remove one",
    ),
    "image-without-instance": (
        "note",
        "images without any annotation",
        "fine as background for detectors",
    ),
    "same-file": ("error", "files that are listed under several image ids", "merge the entries"),
    "missing-picture": (
        "error",
        "pictures that are not there",
        "name their folder with --images, or remove them",
    ),
    "unreadable-picture": (
        "error",
        "pictures that are damaged or cannot be read",
        "fetch or convert them anew",
    ),
    "other-size": (
        "error",
        "pictures of another size than the annotations say",
        "were they shrunk or turned (EXIF)?",
    ),
    "look-alike": (
        "note",
        "pictures that look like another of the set",
        "frames of one video are like that",
    ),
    "in-both-splits": (
        "error",
        "pictures that look like one of the other split",
        "remove them from one of the two",
    ),
    "shared-file-name": (
        "note",
        "pictures with the name of one in the other split",
        "see that they differ",
    ),
    "point-never-labeled": (
        "note",
        "keypoints without a single label",
        "a model will not learn them",
    ),
    "class-without-instance": (
        "note",
        "categories without an instance",
        "remove them or add pictures",
    ),
    "class-of-one-image": (
        "note",
        "categories with instances in one picture only",
        "too few to learn or to hold out",
    ),
    "swapped-sides": (
        "note",
        "instances whose left and right look exchanged",
        "look at them: --sheet shows them",
    ),
    "all-sides-exchanged": (
        "error",
        "faces that have left and right the wrong way round",
        "exchange left and right",
    ),
    "nothing-labeled": (
        "error",
        "images, but no instance with keypoints",
        "is this the right file?",
    ),
}
"""Kind to severity, what it is, and advice."""
