"""Kinds of issues that :func:`rtmpose.datasets.check.check` looks for, and the report of them."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from rtmpose.errors import InputError

log = logging.getLogger(__name__)

MAX_EXAMPLES = 5
"""Number of examples that are kept of each kind."""

Severity = Literal["error", "note"]


@dataclass(frozen=True)
class Issue:
    """All issues of one kind.

    Attributes:
        kind: Short name, for programs.
        severity: ``error`` for what breaks or spoils a training, ``note`` for what is worth a look.
        count: Number of occurrences.
        description: One line for people.
        advice: What to do about it.
        examples: The first few, each naming image or annotation.
        ids: Ids of the annotations, for the contact sheet; empty for issues of images.
    """

    kind: str
    severity: Severity
    count: int
    description: str
    advice: str
    examples: tuple[str, ...] = ()
    ids: tuple[int, ...] = ()


@dataclass(frozen=True)
class Report:
    """What :func:`check` found.

    Attributes:
        path: The annotation file or folder.
        keypoint_set: Name of the keypoint set; empty where unknown.
        images: Number of listed images.
        annotations: Number of all annotations.
        labeled: Number of instances with keypoints that are not crowd regions.
        points: Number of labels per keypoint name.
        issues: Errors first.
        left_right: Fraction of instances whose left and right the rest of the set tells apart; None
            if not looked at.
    """

    path: str
    keypoint_set: str
    images: int
    annotations: int
    labeled: int
    points: Mapping[str, int]
    issues: tuple[Issue, ...]
    left_right: float | None = None

    @property
    def errors(self) -> int:
        """Number of kinds of errors."""
        return sum(issue.severity == "error" for issue in self.issues)

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON."""
        return {**asdict(self), "points": dict(self.points), "errors": self.errors}


@dataclass
class IssueCollector:
    """Collects issues by kind while a set is looked through."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    ids: dict[str, list[int]] = field(default_factory=dict)

    @classmethod
    def of(cls, faults: Sequence[tuple[str, str]]) -> IssueCollector:
        """With what a reader found: kind and text of each."""
        collector = cls()
        for kind, text in faults:
            collector.add(kind, text)
        return collector

    def add(self, kind: str, example: str, annotation_id: int | None = None) -> None:
        """Count an issue; the first few examples and all annotation ids are kept."""
        self.counts[kind] += 1
        kept = self.examples.setdefault(kind, [])  # a few are enough to find the others
        if len(kept) < MAX_EXAMPLES:
            kept.append(example)
        if annotation_id is not None:
            self.ids.setdefault(kind, []).append(annotation_id)

    def add_all(self, kind: str, example: str, count: int) -> None:
        """Count an issue of the whole set, with one example."""
        # No ids: the issue is of no single annotation.
        self.counts[kind] += count
        self.examples[kind] = [example]

    def rename(self, kind: str, new_kind: str) -> None:
        """Count the issues of one kind as those of another."""
        # Counts, examples and ids move together.
        self.counts[new_kind] += self.counts.pop(kind, 0)
        self.examples[new_kind] = self.examples.pop(kind, [])
        self.ids[new_kind] = self.ids.pop(kind, [])

    def drop(self, kind: str) -> None:
        """Forget the issues of a kind."""
        self.counts.pop(kind, None)
        self.examples.pop(kind, None)
        self.ids.pop(kind, None)

    def issues(self) -> tuple[Issue, ...]:
        """What was found, errors first."""
        # In the order of the table; errors come before notes.
        found = []
        for name, kind in ISSUE_KINDS.items():
            if self.counts[name]:
                examples = tuple(self.examples[name])
                ids = tuple(self.ids.get(name, ()))
                found.append(
                    Issue(
                        name,
                        kind.severity,
                        self.counts[name],
                        kind.description,
                        kind.advice,
                        examples,
                        ids,
                    )
                )
        return tuple(sorted(found, key=lambda issue: issue.severity != "error"))


@dataclass(frozen=True)
class IssueKind:
    """What there is to say of all issues of a kind; fields as in :class:`Issue`."""

    severity: Severity
    description: str
    advice: str


def _error(description: str, advice: str) -> IssueKind:
    return IssueKind("error", description, advice)


def _note(description: str, advice: str) -> IssueKind:
    return IssueKind("note", description, advice)


# What is wrong with the entries of the file.
_FILE_KINDS = {
    "broken-image-entry": _error(
        "image entries without a usable id or file_name", "complete or remove them"
    ),
    "broken-annotation": _error(
        "annotations without a usable id or image_id", "complete or remove them"
    ),
    "broken-category": _error("categories without a usable id", "complete or remove them"),
    "broken-list": _error(
        "images, annotations or categories that are no list", "write each as a list of objects"
    ),
    "annotation-without-id": _note("annotations without id", "they are numbered in their order"),
    "duplicate-image-id": _error("image ids that occur twice", "number the images anew"),
    "duplicate-annotation-id": _error(
        "annotation ids that occur twice", "number the annotations anew"
    ),
    "annotation-without-image": _error(
        "annotations of images that are not listed", "list the images or remove the annotations"
    ),
    "unknown-category": _error(
        "annotations of categories that are not listed", "list the categories"
    ),
}

# What is wrong with single instances.
_INSTANCE_KINDS = {
    "box-not-numbers": _error(
        "boxes that are not four finite numbers x, y, w, h", "correct or remove them"
    ),
    "box-without-area": _error("boxes without width or height", "correct or remove them"),
    "relative-coordinates": _error(
        "instances with coordinates between 0 and 1", "write pixels: multiply by width and height"
    ),
    "box-corners": _error(
        "boxes that are corners x1, y1, x2, y2 (at least these)", "write x, y, width, height"
    ),
    "center-boxes": _error(
        "boxes around their first two numbers, which should be the top left corner",
        "write x, y, width, height",
    ),
    "box-outside-image": _error(
        "boxes wholly outside of the image", "check their units: x, y, w, h in pixels"
    ),
    "box-past-edge": _note(
        "boxes that reach past the image", "fine for people cut off by the edge"
    ),
    "wrong-keypoint-count": _error(
        "annotations with another number of keypoints than the set", "correct them"
    ),
    "keypoints-not-numbers": _error(
        "annotations with keypoints that are not finite numbers", "remove them"
    ),
    "wrong-visibility": _error(
        "annotations with v other than 0, 1 or 2", "0 no label, 1 hidden, 2 visible"
    ),
    "point-outside-image": _note(
        "instances with labeled points outside of the image", "set their v to 0"
    ),
    "point-far-from-box": _note(
        "instances with points far outside of their box", "check box and points"
    ),
    "points-outside-boxes": _error(
        "instances with points far outside of their box", "boxes should be x, y, w, h"
    ),
    "wrong-num-keypoints": _note(
        "annotations whose num_keypoints is not the number of labeled points", "count anew"
    ),
    "area-without-use": _note(
        "annotations whose area is 0 or no number", "0.53 of their box is taken"
    ),
    "without-category": _note(
        "annotations without category_id", "they count as the first category with keypoints"
    ),
    "num-keypoints-of-zero": _error(
        "instances with labeled points whose num_keypoints is 0: training and evaluation leave"
        " them out",
        "count anew, or remove the field",
    ),
    "without-keypoints": _note("instances without a labeled point", "they serve detectors only"),
    "duplicate-instance": _note(
        "instances with the same box and points as another of the image", "remove one"
    ),
}

# What is wrong with the images.
_IMAGE_KINDS = {
    "image-without-annotation": _note(
        "images without any annotation", "fine as background for detectors"
    ),
    "duplicate-file": _error("files that are listed under several image ids", "merge the entries"),
    "missing-image": _error(
        "images that are not there", "name their folder with --images, or remove them"
    ),
    "unreadable-image": _error(
        "images that are damaged or cannot be read", "download or convert them anew"
    ),
    "wrong-image-size": _error(
        "images of another size than the annotations say", "were they resized or turned (EXIF)?"
    ),
    "near-duplicate": _note(
        "images that look like another of the set", "frames of one video are like that"
    ),
    "in-both-splits": _error(
        "images that look like one of the other split", "remove them from one of the two"
    ),
    "same-name-in-both-splits": _note(
        "images with the name of one in the other split", "check that they differ"
    ),
}

# What is wrong with the lines of label files.
_LABEL_KINDS = {
    "label-line-length": _error(
        "label lines of another length than the set's",
        "every line needs class, box and all keypoints; correct or remove them",
    ),
    "label-line-not-numbers": _error(
        "label lines that are not a class and finite numbers", "correct or remove them"
    ),
    "label-in-pixels": _error(
        "label lines in pixels",
        "YOLO labels are relative: divide x by the image's width and y by its height",
    ),
    "label-outside-image": _error(
        "label lines with a box or labeled point outside of the image",
        "values should lie in 0 to 1; give such points v = 0",
    ),
    "label-line-box-only": _note(
        "label lines with a box and no keypoints", "they serve detectors only"
    ),
}

# What is wrong with the set as a whole.
_SET_KINDS = {
    "keypoint-never-labeled": _note(
        "keypoints without a single label", "a model will not learn them"
    ),
    "category-without-instance": _note(
        "categories without an instance", "remove them or add images"
    ),
    "category-in-one-image": _note(
        "categories with instances in one image only", "too few to learn or to hold out"
    ),
    "swapped-left-right": _note(
        "instances whose left and right look swapped", "look at them: --sheet shows them"
    ),
    "all-left-right-swapped": _error(
        "faces that have left and right the wrong way round", "swap left and right"
    ),
    "several-keypoint-sets": _error(
        "categories with different keypoints", "choose one with --category NAME"
    ),
    "repeated-keypoint-name": _error(
        "keypoint names that occur twice in a category", "give each keypoint a name of its own"
    ),
    "unusable-sigmas": _error(
        "sigmas of a category that are not one positive number for each keypoint",
        "correct or remove them",
    ),
    "unusable-link": _note(
        "links of a category that do not join two of its keypoints, or count from 0",
        "write pairs of numbers from 1",
    ),
    "nothing-labeled": _error("images, but no instance with keypoints", "is this the right file?"),
}

ISSUE_KINDS: Mapping[str, IssueKind] = {
    **_FILE_KINDS,
    **_INSTANCE_KINDS,
    **_IMAGE_KINDS,
    **_LABEL_KINDS,
    **_SET_KINDS,
}
"""All kinds, in the order of the report."""

USABLE_FAULTS = ("label-outside-image", "label-line-box-only")
"""Faults of a reader that leave the instance of use; others stop a training."""


def tell_faults(path: Path, faults: Sequence[tuple[str, str]]) -> None:
    """Warn of the faults that a reader found, or refuse the set.

    Args:
        path: The annotations.
        faults: Kind of issue and text, one for each.

    Raises:
        InputError: some of them leave no usable instance.
    """
    # Per kind how many, the first of them, and what to do.
    counts = Counter(kind for kind, _ in faults)
    for kind, count in counts.items():
        first = next(text for name, text in faults if name == kind)
        known = ISSUE_KINDS[kind]
        message = (
            f"{path}: {count} {known.description}: {known.advice}. First: {first}; `rtmpose data"
            " check` counts them all"
        )
        if kind not in USABLE_FAULTS:
            raise InputError(message)
        log.warning("%s", message)
