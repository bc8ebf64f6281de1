"""What a file of results says of itself: keypoints, models, and length, rate and size of clips."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from rtmpose.errors import InputError, ModelError
from rtmpose.skeletons import (
    SIDE_COLORS,
    generic_skeleton,
    get_skeleton,
    skeleton_for_count,
    skeleton_names,
)
from rtmpose.text_files import read_json
from rtmpose.types import Calibration, Skeleton
from rtmpose.writers.run_info import info_path
from rtmpose.zoo import find

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SourceInfo:
    """What is said of one source; None and 0 where nothing is.

    Attributes:
        still: It is a single image.
        fps: Frames per second.
        size_wh: Width and height in pixels.
        frames: Number of frames that were processed.
        first_frame: Index of the first of them.
        last_frame: Index of the last; None where nothing is said of the frames.
        last_time_s: Time of the last in seconds.
    """

    still: bool = False
    fps: float | None = None
    size_wh: tuple[int, int] | None = None
    frames: int = 0
    first_frame: int = 0
    last_frame: int | None = None
    last_time_s: float = 0.0

    def joined(self, other: SourceInfo) -> SourceInfo:
        """What is said of two parts of one source."""
        parts = [part for part in (self, other) if part.last_frame is not None]
        if len(parts) < 2:
            return (parts or [self])[0]
        last = max(parts, key=lambda part: part.last_frame or 0)
        return replace(
            last,
            fps=self.fps or other.fps,
            size_wh=self.size_wh or other.size_wh,
            frames=self.frames + other.frames,
            first_frame=min(self.first_frame, other.first_frame),
        )


@dataclass
class Description:
    """What is said of a file.

    Attributes:
        skeleton_name: Name of the keypoint set; empty where nothing is said.
        keypoints: Their names.
        links: Pairs of indices.
        models: What each network is for to its id.
        sources: Source to what is said of it.
    """

    skeleton_name: str = ""
    keypoints: tuple[str, ...] = ()
    links: tuple[tuple[int, int], ...] = ()
    models: dict[str, str] = field(default_factory=dict)
    sources: dict[str, SourceInfo] = field(default_factory=dict)

    def skeleton(self, count: int, path: Path) -> Skeleton:
        """The keypoint set of ``count`` points in a file."""
        name = self.skeleton_name or name_of_set(self.keypoints)
        named = get_skeleton(name) if name in known_sets() else None
        if self.keypoints and len(self.keypoints) != count:
            raise InputError(
                f"{path} has {count} keypoints, but is said to have {len(self.keypoints)}"
            )
        if named is not None and (not self.keypoints or named.keypoints == self.keypoints):
            return named
        if self.keypoints:
            return plain_skeleton(self.skeleton_name, self.keypoints, self.links)
        guessed = skeleton_for_count(count) or generic_skeleton(count)
        log.warning("%s does not name its %d keypoints: taken for %s", path, count, guessed.name)
        return guessed

    def joined(self, other: Description, path: Path) -> Description:
        """With the sources of another file of the same data set.

        Raises:
            InputError: its keypoints are others.
        """
        if other.keypoints != self.keypoints:
            raise InputError(f"{path} has other keypoints than the files before it in its folder")
        sources = dict(self.sources)
        for name, info in other.sources.items():
            sources[name] = sources[name].joined(info) if name in sources else info
        return replace(self, sources=sources)

    def calibration(self) -> Calibration | None:
        """How scores become probabilities: that of the model, where it is a known one."""
        return calibration_of(self.models.get("pose", ""))


@cache
def known_sets() -> tuple[str, ...]:
    """Names of the keypoint sets; looked for once, as there may be thousands of sources."""
    return skeleton_names()


@cache
def calibration_of(model: str) -> Calibration | None:
    """How scores of a known model become probabilities; None for others."""
    try:
        return find(model).calibration
    except ModelError:
        return None


@cache
def name_of_set(keypoints: tuple[str, ...]) -> str:
    """The keypoint set that has these names; empty where none has."""
    sets = (get_skeleton(name) for name in known_sets())
    return next((found.name for found in sets if found.keypoints == keypoints), "")


def plain_skeleton(
    name: str, keypoints: tuple[str, ...], links: tuple[tuple[int, int], ...] = ()
) -> Skeleton:
    """A keypoint set of which names and links are known; the sides are those in the names."""
    sides = tuple(_side_of(keypoint) for keypoint in keypoints)
    return Skeleton(
        name or f"own{len(keypoints)}",
        keypoints,
        tuple(range(len(keypoints))),
        links,
        sides,
        tuple(SIDE_COLORS[sides[b]] for _, b in links),
        tuple(SIDE_COLORS[side] for side in sides),
    )


def description_next_to(path: Path) -> Description:
    """What ``NAME.info.json`` next to a file says; empty where there is none.

    Raises:
        InputError: it cannot be read, or is something else.
    """
    info = info_path(path)
    if not info.is_file():
        return Description()
    return description_from(read_json(info), info)


def description_from(values: Any, path: Path) -> Description:
    """What a header says, as :func:`rtmpose.writers.run_info.header` and ``RunInfo`` write it.

    Raises:
        InputError: it is not one.
    """
    if not isinstance(values, Mapping) or "keypoints" not in values:
        raise InputError(f"{path} does not describe results of rtmpose; write them anew")
    try:
        keypoints = tuple(str(name) for name in values["keypoints"])
        links = tuple((int(a), int(b)) for a, b in values.get("links", ()))
        models = {str(key): str(name) for key, name in values.get("models", {}).items()}
        sources = {str(entry["source"]): source_info(entry) for entry in values.get("sources", ())}
        rates = {str(name): float(fps) for name, fps in values.get("fps", {}).items()}
    except (KeyError, TypeError, ValueError, AttributeError, ModelError) as error:
        raise InputError(f"{path} is damaged: {error}; write the results anew") from error
    sources |= {name: SourceInfo(fps=fps) for name, fps in rates.items() if name not in sources}
    name = str(values.get("skeleton", ""))
    return Description(name, keypoints, links, models, sources)


def source_info(entry: Mapping[str, Any]) -> SourceInfo:
    """What the entry of a source says."""
    size = (entry.get("width"), entry.get("height"))
    fps = entry.get("fps")
    fps = float(fps) if fps else None
    return SourceInfo(
        still="frames" not in entry,
        fps=fps if fps and math.isfinite(fps) and fps > 0 else None,
        size_wh=(int(size[0]), int(size[1])) if size[0] and size[1] else None,
        frames=int(entry.get("frames", 0)),
        first_frame=int(entry.get("first_frame", 0)),
        last_frame=None if entry.get("last_frame") is None else int(entry["last_frame"]),
        last_time_s=float(entry.get("last_time_s", 0)),
    )


def _side_of(name: str) -> str:
    lower = name.lower()
    return next((side for side in ("left", "right") if side in lower), "center")
