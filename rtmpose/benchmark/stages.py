"""Timings of the stages a frame goes through."""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rtmpose.backends import Backend
from rtmpose.errors import InputError
from rtmpose.families import Network
from rtmpose.ranges import COUNT_OR_ZERO, PEOPLE, check_count, check_optional
from rtmpose.types import Detections, Image

if TYPE_CHECKING:
    from rtmpose.pipeline import Pipeline

STAGES = ("detect", "crop", "network", "decode", "draw")


@dataclass(frozen=True)
class Stage:
    """Milliseconds per frame of one stage."""

    name: str
    mean_ms: float
    median_ms: float
    p95_ms: float


@dataclass(frozen=True)
class Measurement:
    """What :func:`measure` found.

    Attributes:
        stages: The five stages, ``overhead`` (all that is not a network: letterbox, box decoding,
            crop, decode) and ``total`` without drawing. Of one-stage models ``crop`` is the
            letterbox, and ``detect`` is nothing.
        people_per_frame: Mean.
        frames: How many were measured.
        settings: Models, engine and machine.
    """

    stages: tuple[Stage, ...]
    people_per_frame: float
    frames: int
    settings: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


# ---- measuring


def measure(
    pipeline: Pipeline,
    images: Sequence[Image],
    frames: int = 100,
    *,
    people: int | None = None,
    warm_up: int = 5,
) -> Measurement:
    """Time every stage of a pipeline.

    Args:
        pipeline: Opened models.
        images: Taken in turn.
        frames: Frames measured, after the warm-up.
        people: Replace what the detector finds by this number of boxes spread over the frame (the
            detector still runs).
        warm_up: Frames run before.

    Raises:
        InputError: a number of people was given for a one-stage model.
    """
    from rtmpose.draw import draw_poses

    check_count("frames", frames)
    check_count("warm_up", warm_up, COUNT_OR_ZERO)
    check_optional("people", people, PEOPLE)

    # Networks report to the clock, so that their time can be taken out of a stage.
    clock = _NetworkClock()
    model = pipeline.model.with_backends(clock.timed)
    rows = []
    counts = []
    for i in range(-warm_up, frames):
        image = images[i % len(images)]
        times = []

        # Finding people. One-stage models do it together with the keypoints.
        clock.start()
        boxes = None
        if model.needs_boxes:
            boxes = [model.detect(image, box_thr=pipeline.box_thr, max_people=pipeline.max_people)]
            if people is not None:
                boxes = [spread_boxes(image, people)]
        elif people is not None:
            raise InputError("a one-stage model finds people by itself: their number is not set")
        detect = clock.elapsed()
        networks = clock.network

        # Their keypoints: before, in and after the network.
        clock.start()
        poses = model.estimate(
            [image], boxes, box_thr=pipeline.box_thr, max_people=pipeline.max_people
        )[0]
        total = clock.elapsed()
        crop = clock.before if clock.calls else total  # without a call there was nobody
        times = [detect, crop, clock.network, total - crop - clock.network]
        networks += clock.network

        # Drawing comes last, and is no part of the total.
        clock.start()
        draw_poses(image, poses)
        times.append(clock.elapsed())

        # Frames of the warm-up have negative numbers.
        if i >= 0:
            rows.append([*times, sum(times[:4]) - networks, sum(times[:4])])
            counts.append(len(poses))

    # One row per frame, one column per stage, in milliseconds.
    table = np.array(rows) * 1000
    names = (*STAGES, "overhead", "total")
    stages = tuple(_stage(name, column) for name, column in zip(names, table.T, strict=True))
    settings = {**pipeline.model.describe(), "machine": machine()}
    settings["detector"] = settings["detector"] or "none"
    return Measurement(stages, float(np.mean(counts)), frames, settings)


def _stage(name: str, milliseconds: NDArray[np.float64]) -> Stage:
    """Statistics of one stage over all frames ``(F,)``."""
    mean = round(float(milliseconds.mean()), 3)
    median = round(float(np.median(milliseconds)), 3)
    p95 = round(float(np.percentile(milliseconds, 95)), 3)
    return Stage(name, mean, median, p95)


# ---- telling networks from the rest


class _NetworkClock:
    """Tells the time in networks from the rest."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Begin a stage."""
        self.began = time.perf_counter()
        self.before = 0.0
        self.network = 0.0
        self.calls = 0

    def elapsed(self) -> float:
        """Seconds since the stage began."""
        return time.perf_counter() - self.began

    def timed(self, network: Network) -> Backend:
        """The network's backend, its calls timed."""
        return _TimedBackend(network.backend, self)


class _TimedBackend:
    """A backend whose calls are timed. See :class:`rtmpose.backends.base.Backend`."""

    def __init__(self, backend: Backend, clock: _NetworkClock) -> None:
        # To the caller it is the same network.
        self._backend = backend
        self._clock = clock
        self.engine = backend.engine
        self.device = backend.device
        self.precision = backend.precision
        self.input = backend.input
        self.outputs = backend.outputs
        self.flexible = backend.flexible
        self.metadata = backend.metadata

    def __call__(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.generic], ...]:
        """Run a BGR uint8 batch ``(N, H, W, 3)``."""
        clock = self._clock
        start = time.perf_counter()

        # What happens before the first call is the crop (or the letterbox).
        if not clock.calls:
            clock.before = start - clock.began
        outputs = self._backend(images)
        clock.network += time.perf_counter() - start
        clock.calls += 1
        return outputs


# ---- inputs and machine


def spread_boxes(image: Image, people: int) -> Detections:
    """Boxes of a plausible size next to each other, one per person, for measurements that must not
    depend on a detector.
    """
    height, width = image.shape[:2]
    step = width / people
    # Side by side over the whole width, three fifths of the height.
    boxes = [[i * step, height * 0.2, (i + 1) * step, height * 0.8] for i in range(people)]
    return Detections.from_boxes(boxes)


def machine() -> str:
    """CPU name and usable cores."""
    from rtmpose.backends import usable_cpus

    # Python knows no more than the architecture on many Linux systems.
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.split(":", 1)[1].strip()
            for line in info.read_text().splitlines()
            if "model name" in line
        ]
        name = names[0] if names else name
    return f"{name}, {usable_cpus()} cores"


def demo_photo() -> Path:
    """A bundled photograph of several people."""
    return Path(
        str(
            resources.files("rtmpose")
            .joinpath("assets")
            .joinpath("photos")
            .joinpath("000000541055.jpg")
        )
    )
