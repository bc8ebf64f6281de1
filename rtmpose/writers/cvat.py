"""CVAT for images 1.1: skeletons as a start for labeling by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np

from rtmpose.errors import InputError
from rtmpose.files import atomic_text
from rtmpose.types import Skeleton
from rtmpose.writers.clip import Clip
from rtmpose.writers.lab_options import LabOptions

LABEL = "person"


def write_cvat(clips: Iterable[Clip], path: Path, options: LabOptions) -> list[Path]:
    """Write one file: a skeleton ``person`` for everybody in every image, with a sub-label for
    each keypoint. A missing point is marked as outside.

    Photos have their own names, frames of a video ``frame_000012``, as CVAT calls them in a task of
    that video; a file holds one video.

    Raises:
        InputError: there are several videos, or the size of a source is not known.
        OutputError: it cannot be written.
    """
    with atomic_text(path) as file:
        file.write('<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n')
        file.write("  <version>1.1</version>\n")
        number = 0
        videos = 0
        for place, clip in enumerate(clips):
            videos += not clip.still
            if videos and place:
                raise InputError(
                    "a task of CVAT holds one video; convert them one by one with --source NAME"
                )
            if not place:
                file.writelines(line + "\n" for line in _labels(clip.skeleton))
            for line in _images(clip, number):
                file.write(line + "\n")
            number += len(clip)
        file.write("</annotations>\n")
    return [path]


def _labels(skeleton: Skeleton) -> Iterator[str]:
    """The labels that a task needs, as CVAT writes them."""
    yield "  <meta><task><labels>"
    yield f"    <label><name>{LABEL}</name><type>skeleton</type><attributes></attributes></label>"
    for name in skeleton.keypoints:
        yield (
            f"    <label><name>{_escaped(name)}</name><type>points</type><attributes></attributes>"
            f"<parent>{LABEL}</parent></label>"
        )
    yield "  </labels></task></meta>"


def _images(clip: Clip, first: int) -> Iterator[str]:
    if clip.size_wh is None:
        raise InputError(f"the size of {clip.source} is not known, which CVAT wants")
    width, height = clip.size_wh
    names = clip.skeleton.keypoints
    rows = np.split(np.arange(len(clip.rows)), np.searchsorted(clip.rows, range(1, len(clip))))
    for place, (frame, people) in enumerate(zip(clip.frames.tolist(), rows, strict=True)):
        # The number of an image is its place in the task: of a video the frame.
        image = clip.source.replace("\\", "/") if clip.still else f"frame_{frame:06d}"
        number = first + place if clip.still else frame
        yield f'  <image id="{number}" name={quoteattr(image)} width="{width}" height="{height}">'
        for row in people.tolist():
            yield f'    <skeleton label="{LABEL}" source="file" occluded="0" z_order="0">'
            for name, (x, y) in zip(names, clip.keypoints[row].tolist(), strict=True):
                missing = x != x
                point = "0.00,0.00" if missing else f"{x:.2f},{y:.2f}"
                yield (
                    f'      <points label={quoteattr(name)} source="file" outside="{int(missing)}"'
                    f' occluded="0" points="{point}"></points>'
                )
            yield "    </skeleton>"
        yield "  </image>"


def _escaped(text: str) -> str:
    return quoteattr(text)[1:-1]
