"""Arrays with a place for everybody in every frame, as other programs keep them, to clips."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtmpose.errors import InputError
from rtmpose.results.description import Description, SourceInfo
from rtmpose.results.rows import SourceRows, box_around, make_clips
from rtmpose.types import FloatArray
from rtmpose.writers.clip import Clip

log = logging.getLogger(__name__)

NUMBER = re.compile(r"(\d+)$")


@dataclass(frozen=True, eq=False)
class TrackArrays:
    """People over time: F frames, P people, K keypoints; NaN where somebody is not seen.

    Attributes:
        source: Name of the clip.
        keypoints: The K names.
        ids: The P ids.
        frames: ``(F,)`` int64, from 0.
        times: ``(F,)`` float64 in seconds; None where nothing is said of them.
        points: ``(F, P, K, 2)`` x, y in pixels.
        confidences: ``(F, P, K)`` in 0..1.
        links: Pairs of indices of keypoints.
        fps: Frames per second; None where unknown.
    """

    source: str
    keypoints: tuple[str, ...]
    ids: tuple[int, ...]
    frames: NDArray[np.int64]
    times: NDArray[np.float64] | None
    points: FloatArray
    confidences: FloatArray
    links: tuple[tuple[int, int], ...] = ()
    fps: float | None = None

    def clips(self, path: Path) -> list[Clip]:
        """The clip, in a list.

        Args:
            path: The file, for errors.

        Raises:
            InputError: the arrays do not belong together, or there are no frames.
        """
        expected = (len(self.frames), len(self.ids), len(self.keypoints))
        if self.points.shape != (*expected, 2) or self.confidences.shape != expected:
            raise InputError(
                f"{path} is damaged: it has {len(self.frames)} frames, {len(self.ids)} people and"
                f" {len(self.keypoints)} keypoints, but positions of {self.points.shape} and"
                f" confidences of {self.confidences.shape}"
            )
        if not self.ids:
            log.warning("nobody is in %s", path)
        rows = SourceRows(complete=True)
        rows.seen = dict.fromkeys(self.frames.tolist())
        if self.times is not None:
            rows.seen = dict(zip(self.frames.tolist(), self.times.tolist(), strict=True))
        triples = np.concatenate([self.points, self.confidences[..., None]], axis=3)
        seen = np.any(np.isfinite(self.points).all(axis=3), axis=2)
        for place, person in np.argwhere(seen).tolist():
            points = triples[place, person].astype(np.float32)
            # What is there counts, even if nothing is said of how sure it is.
            points[np.isnan(points[:, 2]), 2] = 1
            rows.add(int(self.frames[place]), points, box_around(points), number=self.ids[person])
        if self.fps is None and self.times is None:
            say_no_rate(path)
        description = Description("", self.keypoints, self.links)
        if self.fps is not None:
            description.sources[self.source] = SourceInfo(fps=self.fps)
        return make_clips({self.source: rows}, description, len(self.keypoints), path)


def say_no_rate(path: Path) -> None:
    """Warn that times are made up."""
    log.warning(
        "%s tells no frame rate: 30 frames per second are taken unless --fps says another", path
    )


def numbers_of(names: Sequence[str]) -> dict[str, int]:
    """Names to ids: ``person3`` is 3; names without numbers of their own are counted from 1."""
    found = [NUMBER.search(name) for name in names]
    numbers = [int(match[1]) for match in found if match]
    if len(set(numbers)) == len(names):
        return dict(zip(names, numbers, strict=True))
    return {name: place for place, name in enumerate(names, 1)}
